package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// operator is the module that holds the definitions of the kinds by which the
// Prometheus Operator is told of things, as JSON besides YAML.
const operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

// customResources are those of its kinds that a chart may have.
func customResources() []string { return []string{"podmonitors", "prometheusrules", "servicemonitors"} }

// operatorSchemas makes schema files, by name, of the operator's kinds.
func operatorSchemas() (map[string][]byte, error) {
	module, err := download(operator)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range customResources() {
		text, err := os.ReadFile(filepath.Join(module, "jsonnet", "prometheus-operator", name+"-crd.json"))
		if err != nil {
			return nil, err
		}
		if err := convertCRD(text, files); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return files, nil
}

// convertCRD adds a schema file for each version of a CustomResourceDefinition.
func convertCRD(definition []byte, to map[string][]byte) error {
	var crd struct {
		Spec struct {
			Group    string
			Names    struct{ Kind string }
			Versions []struct {
				Name   string
				Schema struct {
					OpenAPIV3Schema schema `json:"openAPIV3Schema"`
				}
			}
		}
	}
	if err := json.Unmarshal(definition, &crd); err != nil {
		return fmt.Errorf("reading the definition: %w", err)
	}
	for _, version := range crd.Spec.Versions {
		kind := groupVersionKind{Group: crd.Spec.Group, Version: version.Name, Kind: crd.Spec.Names.Kind}
		s := version.Schema.OpenAPIV3Schema
		properties, ok := s["properties"].(schema)
		if !ok {
			return fmt.Errorf("version %s has no properties", version.Name)
		}
		// Left open by the definition, because the API server checks it for all kinds.
		properties["metadata"] = schema{"$ref": definitionsFile + "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}
		tighten(s)
		properties["apiVersion"] = schema{"const": kind.apiVersion()}
		properties["kind"] = schema{"const": kind.Kind}
		s["required"] = []string{"apiVersion", "kind", "metadata", "spec"}
		s["$schema"] = draft
		text, err := json.Marshal(s)
		if err != nil {
			return fmt.Errorf("writing the schema: %w", err)
		}
		to[kind.fileName()] = text
	}
	return nil
}
