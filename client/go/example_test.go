package runwire_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/runwire/runwire/client/go"
	runwirev1 "github.com/runwire/runwire/client/go/v1"
)

var (
	ctx    = context.Background()
	client *runwire.Client
	runID  string
)

func ExampleNewClient() {
	client, err := runwire.NewClient("grpcs://one:5001,two:5001", &runwire.Options{Token: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
}

func ExampleError() {
	_, err := client.Runs.Get(ctx, runID)
	if errors.Is(err, runwire.ReasonNotFound) {
		fmt.Println("there is no such run")
	}
	var failed *runwire.Error
	if errors.As(err, &failed) {
		fmt.Println(failed.Code, failed.Metadata["key"])
	}
}

func ExampleClient_Writer() {
	writer := client.Writer(runID, &runwire.WriterOptions{
		OnStop: func() { fmt.Println("somebody asks us to stop") },
	})
	for step := range int64(1000) {
		if err := writer.Log(ctx, map[string]float64{"loss": 1 / float64(step+1)}, step); err != nil {
			log.Fatal(err)
		}
	}
	if err := writer.Close(ctx); err != nil { // what is not acknowledged by now would be lost
		log.Fatal(err)
	}
}

func ExampleRuns_Search() {
	options := &runwire.SearchOptions{Filter: "params.lr = 0.001", OrderBy: "metrics.loss ASC", Columns: []string{"metrics.loss"}}
	for run, err := range client.Runs.Search(ctx, options) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(run.Name, run.Metrics["loss"])
	}
}

func ExampleMetrics_Read() {
	series, err := client.Metrics.Read(ctx, []string{runID}, []string{"loss"}, nil)
	if err != nil {
		log.Fatal(err)
	}
	for _, one := range series {
		fmt.Println(one.Key, one.Steps, one.Values)
	}
}

func ExampleArtifacts_UploadFile() {
	blob, err := client.Artifacts.UploadFile(ctx, runID, "models/model.bin", "model.bin", &runwire.TransferOptions{
		Progress: func(done, total int64) { fmt.Fprintf(os.Stderr, "\r%d of %d bytes", done, total) },
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(blob.Digest)
}

func ExampleModels_SetAlias() {
	expected := int64(1)
	_, err := client.Models.SetAlias(ctx, "taxi", "champion", 2, &runwire.AliasOptions{Expected: &expected, Comment: "better on Mondays"})
	if errors.Is(err, runwire.ReasonAliasMoved) {
		fmt.Println("somebody else has moved it")
	}
}

func ExampleClient_Watch() {
	watcher, err := client.Watch([]string{"taxi@champion"}, &runwire.WatcherOptions{
		OnChange: func(change runwire.Change) { fmt.Println("now", change.Now.GetVersion()) },
	})
	if err != nil {
		log.Fatal(err)
	}
	defer watcher.Close()
	ready, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := watcher.WaitReady(ready); err != nil {
		log.Fatal(err)
	}
	version, err := watcher.Get("taxi@champion")
	fmt.Println(version.GetVersion(), err)
}

func ExampleClient_Conn() {
	registry := runwirev1.NewRegistryServiceClient(client.Conn())
	events, err := registry.ListModelEvents(ctx, &runwirev1.ListModelEventsRequest{Model: "taxi", Alias: "champion"})
	fmt.Println(events.GetEvents(), err)
}
