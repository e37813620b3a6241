package runwire

import runwirev1 "github.com/runwire/runwire/client/go/v1"

// Artifacts are the calls about files: [Client.Artifacts].
type Artifacts struct {
	stub      runwirev1.ArtifactServiceClient
	workspace string
}
