package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// definitionsFile holds what the schemas of the kinds refer to.
const definitionsFile = "_definitions.json"

// draft is the dialect of JSON schema.
const draft = "http://json-schema.org/draft-07/schema#"

// schema is a JSON schema, or a part of one.
type schema = map[string]any

// groupVersionKind is how the OpenAPI document marks the definition of a kind.
type groupVersionKind struct {
	Group   string `json:"group"`
	Version string `json:"version"`
	Kind    string `json:"kind"`
}

// fileName is the name by which kubeconform looks for the kind.
func (k groupVersionKind) fileName() string {
	parts := []string{k.Kind}
	if group, _, _ := strings.Cut(k.Group, "."); group != "" {
		parts = append(parts, group)
	}
	return strings.ToLower(strings.Join(append(parts, k.Version), "-")) + ".json"
}

// apiVersion is what a manifest of the kind says.
func (k groupVersionKind) apiVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

// convert turns Kubernetes' OpenAPI document into schema files by name: one for
// the definitions, and a short one for each kind that refers to it.
func convert(swagger []byte) (map[string][]byte, error) {
	var document struct {
		Definitions map[string]schema `json:"definitions"`
	}
	if err := json.Unmarshal(swagger, &document); err != nil {
		return nil, fmt.Errorf("reading the OpenAPI document: %w", err)
	}
	if quantity, ok := document.Definitions["io.k8s.apimachinery.pkg.api.resource.Quantity"]; ok {
		quantity["type"] = []string{"string", "number"} // "cpu: 1" is no string, and taken
	}
	schemas := map[string]schema{definitionsFile: {"definitions": document.Definitions}}
	for name, definition := range document.Definitions {
		kinds, err := kindsOf(definition)
		if err != nil {
			return nil, fmt.Errorf("definition %s: %w", name, err)
		}
		// Types such as DeleteOptions belong to every group: no manifest has them.
		if len(kinds) == 1 {
			schemas[kinds[0].fileName()] = kindSchema(name, kinds[0])
		}
		tighten(definition)
	}
	files := make(map[string][]byte, len(schemas))
	for name, s := range schemas {
		s["$schema"] = draft
		text, err := json.Marshal(s)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", name, err)
		}
		files[name] = text
	}
	return files, nil
}

// kindsOf reads the mark of a kind, which only some definitions carry.
func kindsOf(definition schema) (kinds []groupVersionKind, err error) {
	mark, err := json.Marshal(definition["x-kubernetes-group-version-kind"])
	if err != nil {
		return nil, err
	}
	return kinds, json.Unmarshal(mark, &kinds)
}

// kindSchema refers to a kind's definition and asks for the two fields that the
// OpenAPI document leaves optional and the API server does not.
func kindSchema(definition string, kind groupVersionKind) schema {
	return schema{"allOf": []any{
		schema{"$ref": definitionsFile + "#/definitions/" + definition},
		schema{"required": []string{"apiVersion", "kind"}, "properties": schema{
			"apiVersion": schema{"const": kind.apiVersion()},
			"kind":       schema{"const": kind.Kind},
		}},
	}}
}

// tighten makes a definition reject fields that it does not name, as the API
// server does with strict field validation, and accept an integer where it does.
func tighten(node schema) {
	properties, _ := node["properties"].(schema)
	if properties != nil && node["additionalProperties"] == nil && node["x-kubernetes-preserve-unknown-fields"] == nil {
		node["additionalProperties"] = false
	}
	if node["format"] == "int-or-string" {
		node["type"] = []string{"string", "integer"}
	}
	for _, property := range properties {
		if child, ok := property.(schema); ok {
			tighten(child)
		}
	}
	for _, key := range []string{"items", "additionalProperties"} {
		if child, ok := node[key].(schema); ok {
			tighten(child)
		}
	}
}
