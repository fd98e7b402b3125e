// Kubeschemas writes strict JSON schemas of the Kubernetes kinds, one file a
// kind, in the layout that kubeconform reads:
//
//	kubeschemas DIR VERSION…
//	kubeconform -schema-location 'DIR/VERSION/{{.ResourceKind}}{{.KindSuffix}}.json'
//
// They are made from the OpenAPI document in the module k8s.io/kubernetes, and
// from the definitions in that of the Prometheus Operator, which the go command
// fetches, so that manifests can be checked with no other source.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("kubeschemas: ")
	if len(os.Args) < 3 {
		log.Fatal("usage: kubeschemas DIR VERSION…")
	}
	for _, version := range os.Args[2:] {
		if err := generate(filepath.Join(os.Args[1], version), version); err != nil {
			log.Fatalf("schemas of Kubernetes %s: %v", version, err)
		}
	}
}

// generate writes the schemas of one Kubernetes version (without the v) to dir,
// which appears only once it is complete.
func generate(dir, version string) error {
	module, err := download("k8s.io/kubernetes@v" + version)
	if err != nil {
		return err
	}
	swagger, err := os.ReadFile(filepath.Join(module, "api", "openapi-spec", "swagger.json"))
	if err != nil {
		return err
	}
	files, err := convert(swagger)
	if err != nil {
		return err
	}
	custom, err := operatorSchemas()
	if err != nil {
		return fmt.Errorf("kinds of the Prometheus Operator: %w", err)
	}
	maps.Copy(files, custom)
	partial := dir + ".partial"
	if err := errors.Join(os.RemoveAll(partial), os.MkdirAll(partial, 0o755)); err != nil {
		return err
	}
	for name, schema := range files {
		if err := os.WriteFile(filepath.Join(partial, name), schema, 0o600); err != nil {
			return err
		}
	}
	return errors.Join(os.RemoveAll(dir), os.Rename(partial, dir))
}

// download returns the folder of a module at a version ("path@version").
func download(module string) (string, error) {
	cmd := exec.Command("go", "mod", "download", "-json", module)
	cmd.Dir = os.TempDir() // outside this module: its go.sum is none of our business
	out, err := cmd.Output()
	var answer struct{ Dir, Error string }
	if jsonErr := json.NewDecoder(bytes.NewReader(out)).Decode(&answer); jsonErr != nil {
		return "", fmt.Errorf("go mod download %s: %w", module, errors.Join(err, jsonErr))
	}
	if answer.Error != "" {
		return "", errors.New(answer.Error)
	}
	return answer.Dir, err
}
