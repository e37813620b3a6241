package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

type reserializeArgs struct {
	Type    string `json:"type"`
	Message string `json:"message"`
}

func (r *runner) reserialize(_ context.Context, args reserializeArgs) (messageOK, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(args.Type))
	if err != nil {
		return messageOK{}, err
	}
	data, err := base64.StdEncoding.DecodeString(args.Message)
	if err != nil {
		return messageOK{}, err
	}
	made := kind.New().Interface()
	if err := proto.Unmarshal(data, made); err != nil {
		return messageOK{}, err
	}
	data, err = proto.MarshalOptions{Deterministic: true}.Marshal(made)
	return messageOK{base64.StdEncoding.EncodeToString(inOrder(kind.Descriptor(), data))}, err
}

// inOrder has the fields of a serialised message by their numbers: Go writes those of a oneof
// last, which is as good on the wire, but other bytes.
func inOrder(message protoreflect.MessageDescriptor, data []byte) []byte {
	type field struct {
		number protowire.Number
		data   []byte
	}
	var fields []field
	for len(data) > 0 {
		number, kind, size := protowire.ConsumeField(data)
		one := field{number, data[:size]}
		known := message.Fields().ByNumber(number)
		if kind == protowire.BytesType && known != nil && known.Message() != nil {
			_, _, head := protowire.ConsumeTag(data)
			inner, _ := protowire.ConsumeBytes(data[head:size])
			one.data = protowire.AppendBytes(slices.Clone(data[:head]), inOrder(known.Message(), inner))
		}
		fields = append(fields, one)
		data = data[size:]
	}
	slices.SortStableFunc(fields, func(one, other field) int { return cmp.Compare(one.number, other.number) })
	var made []byte
	for _, one := range fields {
		made = append(made, one.data...)
	}
	return made
}
