// Package runwire is the client of Runwire, a service for experiment tracking: runs with their
// metrics, params, tags and artifacts, and a registry of models.
//
// A [Client] speaks to one service, over gRPC:
//
//	client, err := runwire.NewClient("http://host:5000", nil)
//	if err != nil {
//		return err
//	}
//	defer client.Close()
//	run, err := client.Runs.Create(ctx, &runwire.RunOptions{Experiment: "nyc-taxi"})
//
// A [Writer] logs metrics without waiting for the network, and loses nothing while the process
// lives; [Client.Artifacts] moves files, through cuts; [Client.Models] is the registry, and a
// [ModelWatcher] follows it from memory.
//
// # Contexts and deadlines
//
// A call takes as long as its context allows. Where that has no deadline, a call that has one
// answer ends after [Options.Timeout] (30 s), all its attempts together. Streams, transfers
// of files and the reading of series go on for as long as they make progress.
//
// # Errors
//
// What the service or the network says is an *[Error]; [errors.Is] compares it with a [Code], a
// [Reason], [context.Canceled] or [context.DeadlineExceeded]:
//
//	if errors.Is(err, runwire.ReasonAliasMoved) { … }
//
// Calls that the service marks as safe to repeat are tried again while it is away.
//
// # Environment
//
//	RUNWIRE_TRACKING_URI  the service, where NewClient is given none
//	RUNWIRE_TOKEN         bearer token, sent with every call
//	RUNWIRE_CA_FILE       certificate authorities for grpcs:// and https://, in PEM
//	RUNWIRE_TIMEOUT_S     deadline of one call, in seconds (default 30)
//	RUNWIRE_USER          who calls, instead of the login name
//	RUNWIRE_WORKSPACE     the workspace of experiments and models
//
// # Beneath
//
// The messages are those of package v1, generated from the protos. Every call of the API, also
// those that have no method here, can be made with its stubs over [Client.Conn], with the same
// deadlines, retries and errors.
package runwire

// Version of this client.
const Version = "0.1.0"
