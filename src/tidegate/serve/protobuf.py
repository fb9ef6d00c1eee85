"""The messages of `inference.GRPCInferenceService`, in a descriptor pool of our own.

kserve, mlserver and tritonclient each register these names in protobuf's default pool, where nobody else can
then have them. https://github.com/open-inference/open-inference-protocol; streaming and the repository are
Triton's, of whose load and unload requests the fields differ from KServe's: 1 is KServe's `model_name` and
Triton's `repository_name`, 2 Triton's `model_name`.
"""

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

PACKAGE = "inference"
SERVICE = f"{PACKAGE}.GRPCInferenceService"

# a field is `type name = number`; a type in brackets is repeated, one in braces the value of a map by text
MESSAGES = {
    "ServerLiveRequest": "",
    "ServerLiveResponse": "bool live = 1",
    "ServerReadyRequest": "",
    "ServerReadyResponse": "bool ready = 1",
    "ModelReadyRequest": "string name = 1; string version = 2",
    "ModelReadyResponse": "bool ready = 1",
    "ServerMetadataRequest": "",
    "ServerMetadataResponse": "string name = 1; string version = 2; [string] extensions = 3",
    "ModelMetadataRequest": "string name = 1; string version = 2",
    "TensorMetadata": "string name = 1; string datatype = 2; [int64] shape = 3",
    "ModelMetadataResponse": (
        "string name = 1; [string] versions = 2; string platform = 3;"
        "[TensorMetadata] inputs = 4; [TensorMetadata] outputs = 5"
    ),
    "InferParameter": (
        "oneof bool bool_param = 1; oneof int64 int64_param = 2; oneof string string_param = 3;"
        "oneof double double_param = 4; oneof uint64 uint64_param = 5"
    ),
    "InferTensorContents": (
        "[bool] bool_contents = 1; [int32] int_contents = 2; [int64] int64_contents = 3;"
        "[uint32] uint_contents = 4; [uint64] uint64_contents = 5; [float] fp32_contents = 6;"
        "[double] fp64_contents = 7; [bytes] bytes_contents = 8"
    ),
    "InferInputTensor": (
        "string name = 1; string datatype = 2; [int64] shape = 3; {InferParameter} parameters = 4;"
        "InferTensorContents contents = 5"
    ),
    "InferRequestedOutputTensor": "string name = 1; {InferParameter} parameters = 2",
    "InferOutputTensor": (
        "string name = 1; string datatype = 2; [int64] shape = 3; {InferParameter} parameters = 4;"
        "InferTensorContents contents = 5"
    ),
    "ModelInferRequest": (
        "string model_name = 1; string model_version = 2; string id = 3; {InferParameter} parameters = 4;"
        "[InferInputTensor] inputs = 5; [InferRequestedOutputTensor] outputs = 6; [bytes] raw_input_contents = 7"
    ),
    "ModelInferResponse": (
        "string model_name = 1; string model_version = 2; string id = 3; {InferParameter} parameters = 4;"
        "[InferOutputTensor] outputs = 5; [bytes] raw_output_contents = 6"
    ),
    "ModelStreamInferResponse": "string error_message = 1; ModelInferResponse infer_response = 2",
    "RepositoryIndexRequest": "string repository_name = 1; bool ready = 2",
    "ModelIndex": "string name = 1; string version = 2; string state = 3; string reason = 4",
    "RepositoryIndexResponse": "[ModelIndex] models = 1",
    "ModelRepositoryParameter": (
        "oneof bool bool_param = 1; oneof int64 int64_param = 2; oneof string string_param = 3;"
        "oneof bytes bytes_param = 4"
    ),
    "RepositoryModelLoadRequest": "string first = 1; string second = 2; {ModelRepositoryParameter} parameters = 3",
    "RepositoryModelLoadResponse": "string model_name = 1; bool isLoaded = 2",
    "RepositoryModelUnloadRequest": "string first = 1; string second = 2",
    "RepositoryModelUnloadResponse": "string model_name = 1; bool isUnloaded = 2",
}


@cache
def message_classes() -> dict[str, Any]:
    """The class of every message, by its name."""
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message_factory import GetMessageClass

    pool = DescriptorPool()
    pool.AddSerializedFile(_describe().SerializeToString())
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in MESSAGES}


def _describe() -> "FileDescriptorProto":
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    file = FileDescriptorProto(name="tidegate/inference.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        for text in filter(None, (part.strip() for part in fields.split(";"))):
            _add_field(message, text)
    return file


def _add_field(message: "DescriptorProto", text: str) -> None:
    """One field as MESSAGES writes it."""
    left, number = text.split("=")
    *marks, kind, name = left.split()
    field = message.field.add(name=name, number=int(number))
    field.label = field.LABEL_REPEATED if kind[0] in "[{" else field.LABEL_OPTIONAL
    if marks:
        field.oneof_index = 0
        if not message.oneof_decl:
            message.oneof_decl.add(name="parameter_choice")
    if kind[0] == "{":
        entry = _add_entry(message, name, kind.strip("{}"))
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{message.name}.{entry}"
        return
    _set_type(field, kind.strip("[]"))


def _add_entry(message: "DescriptorProto", name: str, kind: str) -> str:
    """The nested message that a map is made of."""
    entry = message.nested_type.add(name=f"{name.capitalize()}Entry")
    entry.options.map_entry = True
    for number, (part, type_name) in enumerate((("key", "string"), ("value", kind)), start=1):
        field = entry.field.add(name=part, number=number)
        field.label = field.LABEL_OPTIONAL
        _set_type(field, type_name)
    return entry.name


def _set_type(field: Any, kind: str) -> None:
    if kind in MESSAGES:
        field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{kind}"
    else:
        field.type = getattr(field, f"TYPE_{kind.upper()}")
