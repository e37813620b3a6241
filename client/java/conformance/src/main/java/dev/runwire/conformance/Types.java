package dev.runwire.conformance;

import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.protobuf.Message;
import dev.runwire.v1.ArtifactServiceOuterClass;
import dev.runwire.v1.ExperimentServiceOuterClass;
import dev.runwire.v1.MetricServiceOuterClass;
import dev.runwire.v1.RegistryServiceOuterClass;
import dev.runwire.v1.RunServiceOuterClass;
import dev.runwire.v1.ServerServiceOuterClass;
import java.util.HashMap;
import java.util.Map;

/** Every message type of the API by its full name. */
final class Types {
  private static final Map<String, Descriptor> ALL = new HashMap<>();

  static {
    add(ArtifactServiceOuterClass.getDescriptor());
    add(ExperimentServiceOuterClass.getDescriptor());
    add(MetricServiceOuterClass.getDescriptor());
    add(RegistryServiceOuterClass.getDescriptor());
    add(RunServiceOuterClass.getDescriptor());
    add(ServerServiceOuterClass.getDescriptor());
  }

  private Types() {}

  private static void add(FileDescriptor file) {
    file.getMessageTypes().forEach(Types::add);
    file.getDependencies().forEach(Types::add);
  }

  private static void add(Descriptor type) {
    ALL.put(type.getFullName(), type);
    type.getNestedTypes().forEach(Types::add);
  }

  static Message parse(String type, byte[] data) throws InvalidProtocolBufferException {
    return DynamicMessage.parseFrom(ALL.get(type), data);
  }
}
