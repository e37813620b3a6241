package runwire

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"strings"
	"testing"
)

func TestEverythingPublicIsDescribed(t *testing.T) {
	found := documentation(t)
	check := func(name, text string) {
		if strings.TrimSpace(text) == "" {
			t.Errorf("%s is not described", name)
		}
	}
	check("the package", found.Doc)
	for _, one := range append(found.Consts, found.Vars...) {
		check(one.Names[0], one.Doc)
	}
	for _, one := range found.Funcs {
		check(one.Name, one.Doc)
	}
	for _, kind := range found.Types {
		if len(kind.Decl.Specs) == 1 {
			check(kind.Name, kind.Doc)
		}
		for _, one := range append(kind.Funcs, kind.Methods...) {
			check(kind.Name+"."+one.Name, one.Doc)
		}
	}
}

func documentation(t *testing.T) *doc.Package {
	t.Helper()
	files := token.NewFileSet()
	var parsed []*ast.File
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range names {
		if strings.HasSuffix(entry.Name(), ".go") && !strings.HasSuffix(entry.Name(), "_test.go") {
			file, err := parser.ParseFile(files, entry.Name(), nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			parsed = append(parsed, file)
		}
	}
	found, err := doc.NewFromFiles(files, parsed, "github.com/runwire/runwire/client/go")
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestREADMEHasTheExampleThatRuns(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile("example/main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "## Example\n\n```go\n")
	shown, _, found := strings.Cut(rest, "```")
	if !found || shown != string(example) {
		t.Error("README.md shows another program than example/main.go")
	}
}
