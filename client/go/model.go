package runwire

import (
	"cmp"
	"context"

	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

// Models are the calls of the registry: [Client.Models].
type Models struct {
	stub      runwirev1.RegistryServiceClient
	workspace string
}

// ModelOptions describe a new model; every field may be empty.
type ModelOptions struct {
	// Description is for people.
	Description string
	// Tags are free notes.
	Tags map[string]string
	// Stages that its versions go through. Empty: none, staging, production, archived.
	Stages []string
	// Existing returns the model of that name where there is one, unchanged.
	Existing bool
}

// Create makes a model without versions. Fails with [ReasonAlreadyExists].
func (m *Models) Create(ctx context.Context, name string, options *ModelOptions) (*Model, error) {
	var o ModelOptions
	if options != nil {
		o = *options
	}
	response, err := m.stub.CreateModel(ctx, &runwirev1.CreateModelRequest{
		Name: name, Workspace: m.workspace, Description: o.Description, Tags: o.Tags, Stages: o.Stages,
		GetExisting: o.Existing, RequestId: NewID(),
	})
	return response.GetModel(), err
}

// Get returns a model with its aliases. Fails with [ReasonNotFound].
func (m *Models) Get(ctx context.Context, name string) (*Model, error) {
	response, err := m.stub.GetModel(ctx, &runwirev1.GetModelRequest{Name: name, Workspace: m.workspace})
	return response.GetModel(), err
}

// VersionOptions describe a new version. Its bytes come from a run, or are kept elsewhere: RunID
// or URI must be set.
type VersionOptions struct {
	// RunID whose artifacts are sealed.
	RunID string
	// Path of them: a directory, or one file. Empty: all.
	Path string
	// URI where the bytes are kept; the service only notes it.
	URI string
	// Aliases that are moved to it, in the same transaction.
	Aliases []string
	// Description is for people.
	Description string
	// Tags are free notes.
	Tags map[string]string
	// Signature: inputs, outputs and params, as JSON.
	Signature string
	// CreateModel makes the model where it does not exist.
	CreateModel bool
	// Comment says why, for the history.
	Comment string
	// RequestID, up to 128 bytes: the same call with it makes one version. Empty: chosen at random,
	// so that the attempts of this call make one.
	RequestID string
}

// CreateVersion seals artifacts as the next version of a model. Fails with [ReasonNotFound] (model,
// run, path), [ReasonDeleted] and [ReasonBlobsMissing].
func (m *Models) CreateVersion(ctx context.Context, model string, options *VersionOptions) (*ModelVersion, error) {
	var o VersionOptions
	if options != nil {
		o = *options
	}
	response, err := m.stub.CreateModelVersion(ctx, &runwirev1.CreateModelVersionRequest{
		Model: model, Workspace: m.workspace, SourceRunId: o.RunID, SourcePath: o.Path, SourceUri: o.URI,
		Aliases: o.Aliases, Description: o.Description, Tags: o.Tags, Signature: o.Signature,
		CreateModel: o.CreateModel, Comment: o.Comment, RequestId: cmp.Or(o.RequestID, NewID()),
	})
	return response.GetModelVersion(), err
}

// AliasOptions guard a move, and say why.
type AliasOptions struct {
	// Expected is the version that the alias must point at now; 0: it must not be set. Nil:
	// whatever it is.
	Expected *int64
	// Comment says why, for the history.
	Comment string
}

// SetAlias moves the pointer that serving follows, and returns the version that it pointed at
// before (0: none). Fails with [ReasonAliasMoved] where that is not the expected one,
// [ReasonNotFound] and [ReasonDeleted].
func (m *Models) SetAlias(ctx context.Context, model, alias string, version int64, options *AliasOptions) (int64, error) {
	var o AliasOptions
	if options != nil {
		o = *options
	}
	response, err := m.stub.SetModelAlias(ctx, &runwirev1.SetModelAliasRequest{
		Model: model, Workspace: m.workspace, Alias: alias, Version: version, ExpectedVersion: o.Expected, Comment: o.Comment,
	})
	return response.GetPreviousVersion(), err
}

// Resolve returns the version that a reference means: "m@champion", "m/7", "m/latest",
// "m/production". Fails with [ReasonNotFound] and [ReasonDeleted].
func (m *Models) Resolve(ctx context.Context, reference string) (*ModelVersion, error) {
	found, err := m.ResolveAll(ctx, reference)
	if err != nil {
		return nil, err
	}
	return found[0].Version, found[0].Err
}

// Resolved is what a reference means: Version, or Err says why it means nothing.
type Resolved struct {
	Reference string
	Version   *ModelVersion
	Err       error
}

// ResolveAll returns what references (1,000 at most) mean, in their order, all at one moment.
func (m *Models) ResolveAll(ctx context.Context, references ...string) ([]Resolved, error) {
	request := &runwirev1.ResolveModelsRequest{References: references, Workspace: m.workspace}
	response, err := m.stub.ResolveModels(ctx, request)
	if err != nil {
		return nil, err
	}
	found := make([]Resolved, len(response.Resolved))
	for i, one := range response.Resolved {
		found[i] = resolvedOf(one)
	}
	return found, nil
}

func resolvedOf(one *runwirev1.ResolveModelsResponse_Resolved) Resolved {
	made := Resolved{Reference: one.Reference, Version: one.ModelVersion}
	if one.Fault != nil {
		made.Err = errorOfFault(one.Fault)
	}
	return made
}
