"""TFRecord files of `tf.train.Example`, as TensorFlow Datasets writes them, without TensorFlow.

A record is the length of its data (uint64), a checksum of the length, the data and their checksum,
all little-endian. The checksum is a CRC-32C, rotated by 15 bits and shifted by a constant.
TensorFlow Datasets stores a tensor as a flat list: integers and booleans as int64, float32 and
float64 alike as float32, text as bytes.

Source: tensorflow/core/lib/io/record_writer.h, tensorflow/core/example/example.proto.
"""

from __future__ import annotations

import functools
import itertools
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from numpy.typing import NDArray

from atomfm_calc.errors import DataError
from training.datasets.readers.file_format import FileFormat

Features = dict[str, NDArray[Any] | list[bytes]]
"""Feature -> numbers [length], or texts."""

HEADER = struct.Struct("<QI")
CHECKSUM = struct.Struct("<I")
MASK_DELTA = 0xA282EAD8
FETCH_AGAIN = "the file is damaged; fetch it again"

SCHEMA: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "BytesList": (("value", 1, "bytes", True),),
    "FloatList": (("value", 1, "float", True),),
    "Int64List": (("value", 1, "int64", True),),
    "Feature": (
        ("bytes_list", 1, "BytesList", False),
        ("float_list", 2, "FloatList", False),
        ("int64_list", 3, "Int64List", False),
    ),
    "NamedFeature": (("key", 1, "string", False), ("value", 2, "Feature", False)),
    "Features": (("feature", 1, "NamedFeature", True),),
    "Example": (("features", 1, "Features", False),),
}
"""Message -> its fields: name, number, type, whether repeated. A map is a list of named values."""


def read_examples(path: Path, start: int = 0, stop: int | None = None) -> Iterator[Features]:
    """Examples from `start` to before `stop`; those before are skipped by their lengths.

    Raises:
        DataError: a checksum does not fit, the file ends within a record, or a record is no
            Example; names the record.
    """
    with path.open("rb") as file:
        for number in itertools.count():
            if stop is not None and number >= stop:
                return
            length = _next_length(file, number)
            if length is None:
                return
            if number < start:
                _skip(file, length, number)
            else:
                yield _features(_data(file, length, number), number)


def count_examples(path: Path) -> int:
    """Number of records, from their lengths alone."""
    with path.open("rb") as file:
        for number in itertools.count():
            length = _next_length(file, number)
            if length is None:
                break
            _skip(file, length, number)
    return number


TFRECORD_FORMAT: FileFormat[Features] = FileFormat(
    name="TFRecord", records=read_examples, count=count_examples
)


def _next_length(file: BinaryIO, number: int) -> int | None:
    header = file.read(HEADER.size)
    if not header:
        return None
    if len(header) < HEADER.size:
        raise DataError(f"record {number}: the file ends within its length; {FETCH_AGAIN}")
    length, checksum = HEADER.unpack(header)
    if _masked_checksum(header[:8]) != checksum:
        raise DataError(f"record {number}: the checksum of its length is wrong; {FETCH_AGAIN}")
    return length


def _skip(file: BinaryIO, length: int, number: int) -> None:
    end = file.seek(length + CHECKSUM.size, os.SEEK_CUR)
    if end > os.fstat(file.fileno()).st_size:
        raise DataError(f"record {number}: the file ends within its data; {FETCH_AGAIN}")


def _data(file: BinaryIO, length: int, number: int) -> bytes:
    data, checksum = file.read(length), file.read(CHECKSUM.size)
    if len(checksum) < CHECKSUM.size:
        raise DataError(f"record {number}: the file ends within its data; {FETCH_AGAIN}")
    if _masked_checksum(data) != CHECKSUM.unpack(checksum)[0]:
        raise DataError(f"record {number}: the checksum of its data is wrong; {FETCH_AGAIN}")
    return data


def _masked_checksum(data: bytes) -> int:
    checksum = google_crc32c.value(data)
    return (((checksum >> 15) | (checksum << 17)) + MASK_DELTA) & 0xFFFFFFFF


def _features(data: bytes, number: int) -> Features:
    example = _example_class()()
    try:
        example.ParseFromString(data)
    except Exception as error:  # protobuf's error has another module in each of its back ends
        raise DataError(f"record {number} is no tf.train.Example: {error}") from error
    return {entry.key: _values(entry.value) for entry in example.features.feature}


def _values(feature: Any) -> NDArray[Any] | list[bytes]:
    if feature.HasField("bytes_list"):
        return list(feature.bytes_list.value)
    if feature.HasField("int64_list"):
        return np.array(feature.int64_list.value, dtype=np.int64)
    return np.array(feature.float_list.value, dtype=np.float32)


@functools.cache
def _example_class() -> Any:
    """The message class, in a pool of its own: TensorFlow may have registered one as well."""
    package = "atomfm"
    file = descriptor_pb2.FileDescriptorProto(
        name="example.proto", package=package, syntax="proto2"
    )
    for message, fields in SCHEMA.items():
        described = file.message_type.add(name=message)
        for name, number, kind, is_repeated in fields:
            field = described.field.add(name=name, number=number)
            field.label = field.LABEL_REPEATED if is_repeated else field.LABEL_OPTIONAL
            if kind in SCHEMA:
                field.type, field.type_name = field.TYPE_MESSAGE, f".{package}.{kind}"
            else:
                field.type = getattr(field, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.Example"))
