"""What every API model shares: camelCase outside, immutability, names and their patterns."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

NAME = r"^[A-Za-z]([-A-Za-z0-9_]*[A-Za-z0-9])?$"
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
DNS_SUBDOMAIN = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
ENV_NAME = r"^[A-Za-z_][A-Za-z0-9_]*$"
API_VERSION = r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?v[0-9]+((alpha|beta)[0-9]+)?$"
Name = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME)]
Seconds = Annotated[int, Field(ge=0, le=31_536_000)]


class ApiModel(BaseModel):
    """Base of every API model: camelCase outside, unknown fields kept out, no change after reading."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        use_attribute_docstrings=True,
    )
