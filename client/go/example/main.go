package main

import (
	"context"
	"log"
	"math"

	"github.com/runwire/runwire/client/go"
)

func main() {
	ctx := context.Background()
	client, err := runwire.NewClient("", nil) // RUNWIRE_TRACKING_URI, for instance http://localhost:5000
	check(err)
	defer client.Close()

	run, err := client.Runs.Create(ctx, &runwire.RunOptions{
		Experiment: "quickstart",
		Tags:       map[string]string{"language": "go"},
		Params:     map[string]string{"lr": "0.001"},
	})
	check(err)
	writer := client.Writer(run.RunId, nil)
	for step := range int64(100) {
		check(writer.Log(ctx, map[string]float64{"loss": math.Exp(-float64(step) / 20)}, step))
	}
	check(writer.Close(ctx)) // all of it is durable now
	_, err = client.Runs.Finish(ctx, run.RunId, runwire.StateFinished)
	check(err)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
