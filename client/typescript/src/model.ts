import type { Calls, CallOptions } from "./call.js";
import { errorOfFault, type RunwireError } from "./error.js";
import { newId } from "./id.js";
import { Pager } from "./pager.js";
import type { Model, ModelVersion } from "./v1/model_pb.js";
import {
  RegistryService,
  type ResolveModelsResponse,
  type SearchModelsResponse,
  type SearchModelVersionsResponse,
} from "./v1/registry_service_pb.js";

/** The workspace of a call about models. */
export interface ModelOptions extends CallOptions {
  /** Else the client's. */
  workspace?: string;
}

/** What a new model is made with. */
export interface CreateModelOptions extends ModelOptions {
  description?: string;
  tags?: Record<string, string>;
  /** What a version can be in. None, staging, production and archived unless given. */
  stages?: string[];
  /** Return the model of that name where there is one. */
  getExisting?: boolean;
}

/** What a new version is made of: the artifacts of a run, of another version, or of a URI. */
export interface CreateVersionOptions extends ModelOptions {
  sourceRunId?: string;
  /** With a run: a directory, or one file. Empty: the whole tree. */
  sourcePath?: string;
  /** Where the bytes are kept; the service only notes it. */
  sourceUri?: string;
  sourceVersion?: { model: string; version: bigint | number };
  description?: string;
  tags?: Record<string, string>;
  /** JSON. */
  signature?: string;
  /** Moved to this version, from wherever they point. */
  aliases?: string[];
  /** Make the model where it does not exist. */
  createModel?: boolean;
  /** Why, for the history. */
  comment?: string;
}

/** How an alias is moved. */
export interface SetAliasOptions extends ModelOptions {
  /** Only where it points there now; 0: only where it is not set. Else ABORTED, ALIAS_MOVED. */
  expectedVersion?: bigint | number;
  /** Why, for the history. */
  comment?: string;
}

/** What to look for. */
export interface SearchModelsOptions extends ModelOptions {
  /** For instance `model = 'm' AND stage = 'production'`. */
  filter?: string;
  orderBy?: string;
  /** Models or versions in one message. */
  pageSize?: number;
}

/** How references are resolved. */
export interface ResolveOptions extends ModelOptions {
  /** The answer is of this revision of the registry or a later one. */
  minRevision?: bigint;
}

/** What a reference means: a version, or why it means nothing. */
export type Resolved =
  | { reference: string; version: ModelVersion; error?: undefined }
  | { reference: string; version?: undefined; error: RunwireError };

const { method } = RegistryService;

/** Registered models, their versions and aliases; all calls throw {@link RunwireError}. */
export class Models {
  readonly #calls: Calls;

  /** @internal */
  constructor(calls: Calls) {
    this.#calls = calls;
  }

  /** Makes a model without versions. Throws ALREADY_EXISTS, unless `getExisting`. */
  async create(name: string, options: CreateModelOptions = {}): Promise<Model> {
    const { description = "", tags = {}, stages = [], getExisting = false } = options;
    const request = { name, description, tags, stages, getExisting, requestId: newId() };
    const { model } = await this.#calls.unary(
      method.createModel,
      { ...request, workspace: this.#in(options) },
      options,
    );
    return there(model);
  }

  /** One model, with its aliases. Throws NOT_FOUND. */
  async get(name: string, options: ModelOptions = {}): Promise<Model> {
    const request = { name, workspace: this.#in(options) };
    return there((await this.#calls.unary(method.getModel, request, options)).model);
  }

  /** The models that a filter finds; pages are fetched as they are read. */
  search(options: SearchModelsOptions = {}): Pager<Model, SearchModelsResponse> {
    return new Pager(
      (pageToken) =>
        this.#calls.unary(method.searchModels, { ...this.#query(options), pageToken }, options),
      (page) => page.models,
    );
  }

  /**
   * Publishes a version: seals the artifacts, gives the next number and moves the aliases, all at
   * once. A retry makes no second one.
   */
  async createVersion(model: string, options: CreateVersionOptions): Promise<ModelVersion> {
    const { sourceVersion: source, timeoutMs: _timeoutMs, signal: _signal, ...rest } = options;
    const workspace = this.#in(options);
    const sourceVersion = source && { ...source, version: BigInt(source.version), workspace };
    const request = { ...rest, model, workspace, requestId: newId() };
    const { modelVersion } = await this.#calls.unary(
      method.createModelVersion,
      sourceVersion ? { ...request, sourceVersion } : request,
      options,
    );
    return there(modelVersion);
  }

  /** One version. Throws NOT_FOUND. */
  async getVersion(
    model: string,
    version: bigint | number,
    options: ModelOptions = {},
  ): Promise<ModelVersion> {
    const key = { model, version: BigInt(version), workspace: this.#in(options) };
    const { modelVersion } = await this.#calls.unary(method.getModelVersion, { key }, options);
    return there(modelVersion);
  }

  /** The versions that a filter finds, of all models; the newest first. */
  searchVersions(
    options: SearchModelsOptions = {},
  ): Pager<ModelVersion, SearchModelVersionsResponse> {
    const { searchModelVersions } = method;
    return new Pager(
      (pageToken) =>
        this.#calls.unary(searchModelVersions, { ...this.#query(options), pageToken }, options),
      (page) => page.modelVersions,
    );
  }

  /** Moves the pointer that serving follows; returns the revision of the registry after it. */
  async setAlias(
    model: string,
    alias: string,
    version: bigint | number,
    options: SetAliasOptions = {},
  ): Promise<bigint> {
    const { expectedVersion: expected, comment = "" } = options;
    const move = { model, alias, version: BigInt(version), comment };
    const request = { ...move, workspace: this.#in(options) };
    const { revision } = await this.#calls.unary(
      method.setModelAlias,
      expected === undefined ? request : { ...request, expectedVersion: BigInt(expected) },
      options,
    );
    return revision;
  }

  /** Removes an alias; returns the revision of the registry after it. Throws NOT_FOUND. */
  async deleteAlias(model: string, alias: string, options: SetAliasOptions = {}): Promise<bigint> {
    const { expectedVersion: expected, comment = "" } = options;
    const request = { model, alias, comment, workspace: this.#in(options) };
    const { revision } = await this.#calls.unary(
      method.deleteModelAlias,
      expected === undefined ? request : { ...request, expectedVersion: BigInt(expected) },
      options,
    );
    return revision;
  }

  /**
   * What a reference means now: `m@champion` an alias, `m/7` a number, `m/latest` the greatest,
   * `m/production` the greatest in that stage. Throws NOT_FOUND.
   */
  async resolve(reference: string, options: ResolveOptions = {}): Promise<ModelVersion> {
    const [found] = await this.resolveAll([reference], options);
    if (found?.version) return found.version;
    throw found?.error ?? new TypeError("a response without its answer");
  }

  /** What up to 1,000 references mean, at one moment, each with a version or an error. */
  async resolveAll(references: string[], options: ResolveOptions = {}): Promise<Resolved[]> {
    const answer = await this.resolveAnswer(references, options);
    return answer.resolved.map(meaning);
  }

  /** @internal */
  resolveAnswer(references: string[], options: ResolveOptions): Promise<ResolveModelsResponse> {
    const { minRevision = 0n } = options;
    const request = { references, minRevision, workspace: this.#in(options) };
    return this.#calls.unary(method.resolveModels, request, options);
  }

  #in({ workspace }: ModelOptions): string {
    return workspace ?? this.#calls.workspace;
  }

  #query(options: SearchModelsOptions) {
    const { filter = "", orderBy = "", pageSize = 0 } = options;
    return { filter, orderBy, pageSize, workspace: this.#in(options) };
  }
}

/** @internal */
export function meaning(one: ResolveModelsResponse["resolved"][number]): Resolved {
  const { reference, modelVersion: version, fault } = one;
  if (version) return { reference, version };
  if (fault) return { reference, error: errorOfFault(fault) };
  throw new TypeError("a response without its answer");
}

/** What every one of these responses has. */
function there<T>(found: T | undefined): T {
  if (found === undefined) throw new TypeError("a response without its resource");
  return found;
}
