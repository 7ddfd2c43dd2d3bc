"""URL paths of the Kubernetes API, from group, version, plural, namespace, name and subresource.

https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-uris

Each part is percent-escaped, so that a name out of a custom resource cannot reach another path. An empty
part is
refused: `…/pods/` with an empty name would be the collection, and a DELETE of it would delete every pod.
"""

from __future__ import annotations

from urllib.parse import quote


def segment(value: str, what: str) -> str:
    """Escape one path segment. Raises ValueError for "", "." and "..", which name no Kubernetes object."""
    if value in ("", ".", ".."):
        raise ValueError(f"{what} {value!r} cannot stand in an API path: give the name of an object")
    return quote(value, safe="")


def split_api_version(api_version: str) -> tuple[str, str]:
    """Split "apps/v1" into ("apps", "v1") and "v1" into ("", "v1"). Raises ValueError for other forms."""
    group, slash, version = api_version.rpartition("/")
    if "/" in group or not version or (slash and not group):
        raise ValueError(f"apiVersion {api_version!r} is not of the form VERSION or GROUP/VERSION")
    return group, version


def version_path(group: str, version: str) -> str:
    """Root of one group and version: "/api/v1" for the core group, else "/apis/GROUP/VERSION"."""
    tail = segment(version, "version")
    return f"/apis/{segment(group, 'group')}/{tail}" if group else f"/api/{tail}"


def resource_path(
    group: str,
    version: str,
    plural: str,
    namespace: str | None = None,
    name: str | None = None,
    subresource: str | None = None,
) -> str:
    """Path of a collection (no `name`), an object, or a subresource of an object.

    `namespace` None is cluster scope, or the collection over all namespaces. Raises ValueError for empty
    parts and for a subresource without a name.
    """
    path = version_path(group, version)
    if namespace is not None:
        path += "/namespaces/" + segment(namespace, "namespace")
    path += "/" + segment(plural, "plural")
    if name is not None:
        path += "/" + segment(name, "name")
    if subresource is not None:
        if name is None:
            raise ValueError(f"subresource {subresource!r} needs the name of an object")
        path += "/" + segment(subresource, "subresource")
    return path
