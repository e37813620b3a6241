module github.com/runwire/runwire/client/go/conformance

go 1.24.0

require (
	github.com/runwire/runwire/client/go v0.1.0
	google.golang.org/protobuf v1.36.12
)

replace github.com/runwire/runwire/client/go => ..
