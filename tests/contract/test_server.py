"""What a server says about itself."""

from __future__ import annotations

import re

import runwire


def test_server_tells_its_version_and_limits(client: runwire.Client) -> None:
    info = client.server_info()
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", info.version)
    for field, limit in info.limits.ListFields():
        assert limit > 0, field.name
    assert len(info.limits.ListFields()) == len(info.limits.DESCRIPTOR.fields)
    assert info.limits.max_batch_bytes < info.limits.max_message_bytes


def test_server_tells_its_features_once_each(client: runwire.Client) -> None:
    features = list(client.server_info().features)
    assert "batches.stream" in features
    assert len(features) == len(set(features))
