# The operator's image for people with Docker; the test bed builds the same from the same lock file without it.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/operator.txt requirements/operator.txt
RUN pip install --no-cache-dir --require-hashes --target /opt/site -r requirements/operator.txt
COPY pyproject.toml README.md LICENSE ./
COPY operator operator
RUN pip install --no-cache-dir --no-deps --target /opt/site .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/site /opt/site
ENV PYTHONPATH=/opt/site PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
USER 65532:65532
ENTRYPOINT ["python3", "-m", "trimtab.cli.main"]
CMD ["run"]
