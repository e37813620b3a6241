"""Blobs on S3, or whatever speaks its API.

Endpoint, region and credentials come from the usual AWS environment. Pieces are
joined inside S3: its rules allow 10,000 parts of 5 MiB to 5 GiB, the last may be
smaller (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from runwire_server.blobs.objects import ObjectStore, translated
from runwire_server.blobs.store import FOLDERS, WRITERS, Piece
from runwire_server.errors import StorageUnavailable

MAX_PARTS = 10_000
# Pieces joined into one part where there are more: 500 of 8 MiB stay below 5 GiB.
GROUP = 500


def connect() -> Any:
    """A file system of this process only: s3fs keeps a loop thread and connections."""
    import s3fs

    return s3fs.S3FileSystem(
        skip_instance_cache=True,
        use_listings_cache=False,
        config_kwargs={
            # Signed URLs would be of version 2 else, which buckets made since 2020 refuse.
            "signature_version": "s3v4",
            "connect_timeout": 10,
            "read_timeout": 60,
            "max_pool_connections": 64,
            "retries": {"max_attempts": 3, "mode": "standard"},
        },
    )


class S3Store(ObjectStore):
    def check(self) -> None:
        with translated():
            self._fs.call_s3("head_bucket", Bucket=self._root.split("/", 1)[0])

    def assemble(self, pieces: Sequence[Piece], key: str, *, take: bool) -> None:
        if not pieces:
            return self.put(key, b"")
        if len(pieces) > MAX_PARTS:
            pieces = [
                self._join(pieces[start : start + GROUP], f"{pieces[start].key}.group")
                for start in range(0, len(pieces), GROUP)
            ]
        self._join(pieces, key)
        return None

    def drop_parts(self, before: float) -> int:
        return sum(self._drop_parts(self.path(folder), before) for folder in FOLDERS)

    def _drop_parts(self, folder: str, before: float) -> int:
        bucket, _, prefix = folder.partition("/")
        under = {"Bucket": bucket, "Prefix": f"{prefix}/"}
        dropped, marks = 0, dict[str, str]()
        while True:
            with translated():
                page = self._fs.call_s3("list_multipart_uploads", **under, **marks)
                for found in page.get("Uploads", ()):
                    if found["Initiated"].timestamp() < before:
                        target = {"Bucket": bucket, "Key": found["Key"]}
                        self._fs.call_s3(
                            "abort_multipart_upload", UploadId=found["UploadId"], **target
                        )
                        dropped += 1
            if not page.get("IsTruncated"):
                return dropped
            marks = {
                "KeyMarker": page["NextKeyMarker"],
                "UploadIdMarker": page["NextUploadIdMarker"],
            }

    def _join(self, pieces: Sequence[Piece], key: str) -> Piece:
        bucket, _, name = self.path(key).partition("/")
        target = {"Bucket": bucket, "Key": name}
        with translated():
            upload_id = self._fs.call_s3("create_multipart_upload", **target)["UploadId"]
            try:
                self._copy_parts(pieces, target, upload_id)
            except BaseException:
                self._fs.call_s3("abort_multipart_upload", UploadId=upload_id, **target)
                raise
        size = sum(piece.size_bytes for piece in pieces)
        if self.stat(key) != size:
            raise StorageUnavailable(f"blob {key} was not joined to {size} bytes")
        return Piece(key, size)

    def _copy_parts(self, pieces: Sequence[Piece], target: dict[str, str], upload_id: str) -> None:
        def copy(number: int, piece: Piece) -> dict[str, Any]:
            bucket, _, name = self.path(piece.key).partition("/")
            copied = self._fs.call_s3(
                "upload_part_copy",
                CopySource={"Bucket": bucket, "Key": name},
                PartNumber=number,
                UploadId=upload_id,
                **target,
            )
            return {"PartNumber": number, "ETag": copied["CopyPartResult"]["ETag"]}

        with ThreadPoolExecutor(WRITERS, thread_name_prefix="copy") as pool:
            parts = list(pool.map(copy, range(1, len(pieces) + 1), pieces))
        self._fs.call_s3(
            "complete_multipart_upload",
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            **target,
        )
