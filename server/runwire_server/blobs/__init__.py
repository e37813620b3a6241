"""Where the bytes of artifacts are: a local folder, S3, or another store by its URL.

Nothing outside this package imports fsspec.
"""

from __future__ import annotations

import re
from pathlib import Path
from urllib.request import url2pathname

from runwire_server.blobs.store import BlobStore, blob_key, digest_of_key, workspace_folder

__all__ = ["BlobStore", "blob_key", "digest_of_key", "open_blobs", "workspace_folder"]

# Two letters at least: "C:\data" is a folder.
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+):", re.IGNORECASE)
_INSTALL = {
    "s3": "runwire[s3]",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
    "oci": "ocifs",
    "oss": "ossfs",
    "hf": "huggingface_hub",
}


def open_blobs(url: str) -> BlobStore:
    """The store at a folder's path, ``file:PATH``, ``s3://BUCKET/PREFIX`` or a URL of fsspec.

    Nothing is asked of the store yet. Raises ``ValueError`` for a URL that no store
    answers to, and ``ImportError``, naming the package, where that is not installed.
    """
    match = _SCHEME.match(url)
    scheme = match.group(1).lower() if match else "file"
    if scheme == "file":
        from runwire_server.blobs.folder import FolderStore

        return FolderStore(_folder(url))
    if not re.fullmatch(r"[^:]+://[^/].*", url):
        raise ValueError(f"{url!r} names no bucket: write {scheme}://BUCKET/PREFIX")
    return _open_objects(scheme, url)


def _folder(url: str) -> Path:
    if not url.lower().startswith("file:"):
        return Path(url)
    path = url[len("file:") :]
    return Path(url2pathname(path.removeprefix("//")) if path.startswith("///") else path)


def _open_objects(scheme: str, url: str) -> BlobStore:
    try:
        if scheme == "s3":
            from runwire_server.blobs import s3

            return s3.S3Store(s3.connect(), url.removeprefix("s3://"))
        import fsspec

        from runwire_server.blobs.objects import ObjectStore

        fs = fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)
        return ObjectStore(fs, url.partition("://")[2])
    except ImportError as error:
        package = _INSTALL.get(scheme, f"fsspec's package for {scheme}")
        raise ImportError(f"{url!r} needs a package: pip install '{package}'") from error
