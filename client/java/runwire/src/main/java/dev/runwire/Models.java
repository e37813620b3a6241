package dev.runwire;

import dev.runwire.v1.CreateModelRequest;
import dev.runwire.v1.CreateModelVersionRequest;
import dev.runwire.v1.Model;
import dev.runwire.v1.ModelVersion;
import dev.runwire.v1.RegistryServiceGrpc;
import dev.runwire.v1.ResolveModelsRequest;
import dev.runwire.v1.ResolveModelsResponse;
import dev.runwire.v1.SetModelAliasRequest;
import dev.runwire.v1.SetModelAliasResponse;
import java.util.List;
import java.util.OptionalLong;

/** The model registry. */
public final class Models {
  private final Caller caller;

  Models(Caller caller) {
    this.caller = caller;
  }

  /**
   * Registers a name.
   *
   * @param name of the model
   * @return as the server keeps it
   * @throws RunwireException ALREADY_EXISTS where it is taken
   */
  public Model create(String name) {
    return caller
        .call(
            RegistryServiceGrpc.getCreateModelMethod(),
            CreateModelRequest.newBuilder()
                .setName(name)
                .setWorkspace(caller.workspace)
                .setRequestId(Runs.newId())
                .build())
        .getModel();
  }

  /**
   * Publishes a run's artifacts as the next version of a model.
   *
   * @param model its name
   * @param runId whose artifacts
   * @param path the folder of them that is the version; empty: all
   * @param aliases that point at it from now on
   * @return with its number
   */
  public ModelVersion createVersion(String model, String runId, String path, String... aliases) {
    return createVersion(
        CreateModelVersionRequest.newBuilder()
            .setModel(model)
            .setSourceRunId(runId)
            .setSourcePath(path)
            .addAllAliases(List.of(aliases))
            .build());
  }

  /**
   * Publishes the next version of a model.
   *
   * @param about all that can be said of it
   * @return with its number
   */
  public ModelVersion createVersion(CreateModelVersionRequest about) {
    CreateModelVersionRequest.Builder request = about.toBuilder();
    if (request.getWorkspace().isEmpty()) {
      request.setWorkspace(caller.workspace);
    }
    if (request.getRequestId().isEmpty()) {
      request.setRequestId(Runs.newId());
    }
    return caller
        .call(RegistryServiceGrpc.getCreateModelVersionMethod(), request.build())
        .getModelVersion();
  }

  /**
   * Points an alias at a version, wherever it pointed before.
   *
   * @param model its name
   * @param alias for instance "champion"
   * @param version where to
   * @return where it pointed before, and the revision of the registry
   */
  public SetModelAliasResponse setAlias(String model, String alias, long version) {
    return setAlias(model, alias, version, OptionalLong.empty());
  }

  /**
   * Points an alias at a version, if it points at another one now.
   *
   * @param model its name
   * @param alias for instance "champion"
   * @param version where to
   * @param expectedVersion where it must point now; 0: nowhere
   * @return where it pointed before, and the revision of the registry
   * @throws RunwireException ABORTED, reason ALIAS_MOVED, where it points elsewhere
   */
  public SetModelAliasResponse setAlias(
      String model, String alias, long version, OptionalLong expectedVersion) {
    SetModelAliasRequest.Builder request =
        SetModelAliasRequest.newBuilder()
            .setModel(model)
            .setWorkspace(caller.workspace)
            .setAlias(alias)
            .setVersion(version);
    expectedVersion.ifPresent(request::setExpectedVersion);
    return caller.call(RegistryServiceGrpc.getSetModelAliasMethod(), request.build());
  }

  /**
   * The version that a reference means now.
   *
   * @param reference "fraud@champion" an alias, "fraud/7" a number, "fraud/latest" the newest,
   *     "fraud/production" the newest in a stage
   * @return the version
   * @throws RunwireException NOT_FOUND where it means nothing
   */
  public ModelVersion resolve(String reference) {
    ResolveModelsResponse.Resolved found = resolveAll(List.of(reference)).getResolved(0);
    if (found.hasFault()) {
      throw Errors.of(found.getFault());
    }
    return found.getModelVersion();
  }

  /**
   * Many at once.
   *
   * @param references as in {@link #resolve(String)}
   * @return in their order, each with a version or a fault
   */
  public ResolveModelsResponse resolveAll(List<String> references) {
    return resolveAll(references, 0);
  }

  ResolveModelsResponse resolveAll(List<String> references, long minRevision) {
    return caller.call(
        RegistryServiceGrpc.getResolveModelsMethod(),
        ResolveModelsRequest.newBuilder()
            .addAllReferences(references)
            .setWorkspace(caller.workspace)
            .setMinRevision(minRevision)
            .build());
  }
}
