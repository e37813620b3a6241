package runwire

import runwirev1 "github.com/runwire/runwire/client/go/v1"

// The messages of the service, by the names that they have here; their fields are described in
// the protos and in package v1.
type (
	// Run is one trial: what went in, what came out.
	Run = runwirev1.Run
	// RunState says whether it is under way, and how it ended.
	RunState = runwirev1.Run_State
	// Source says where a run came from: script, commit, host.
	Source = runwirev1.Source
	// DatasetInput is a dataset that a run used.
	DatasetInput = runwirev1.DatasetInput
	// SeriesInfo is the catalogue entry of one series.
	SeriesInfo = runwirev1.SeriesInfo
	// Artifact is a file of a run or model version.
	Artifact = runwirev1.Artifact
	// Model is a registered model.
	Model = runwirev1.Model
	// ModelVersion is a version of one, with its sealed files.
	ModelVersion = runwirev1.ModelVersion
	// ServerInfo is what a server says of itself.
	ServerInfo = runwirev1.GetServerInfoResponse
)

// The states of a run.
const (
	StateScheduled = runwirev1.Run_STATE_SCHEDULED
	StateRunning   = runwirev1.Run_STATE_RUNNING
	StateFinished  = runwirev1.Run_STATE_FINISHED
	StateFailed    = runwirev1.Run_STATE_FAILED
	StateKilled    = runwirev1.Run_STATE_KILLED
	StateLost      = runwirev1.Run_STATE_LOST
)
