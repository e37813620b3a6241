"""The generator of Python's gRPC stubs as a plugin of its own: grpcio-tools has it only inside
its protoc. Reads a CodeGeneratorRequest from standard input, as buf and protoc send it."""

import sys
import tempfile
from pathlib import Path

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from grpc_tools import protoc


def main() -> None:
    request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    with tempfile.TemporaryDirectory() as folder:
        descriptors, out = Path(folder, "descriptors.binpb"), Path(folder, "out")
        descriptors.write_bytes(FileDescriptorSet(file=request.proto_file).SerializeToString())
        out.mkdir()
        told = [f"--descriptor_set_in={descriptors}", f"--grpc_python_out={out}"]
        if protoc.main(["protoc", *told, *request.file_to_generate]):
            sys.exit("grpc_python: protoc failed")
        response = CodeGeneratorResponse(
            supported_features=CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL,
            file=[
                CodeGeneratorResponse.File(
                    name=made.relative_to(out).as_posix(), content=made.read_text()
                )
                # A file of messages alone has no stubs to offer.
                for made in sorted(out.rglob("*_service_pb2_grpc.py"))
            ],
        )
    sys.stdout.buffer.write(response.SerializeToString())


if __name__ == "__main__":
    main()
