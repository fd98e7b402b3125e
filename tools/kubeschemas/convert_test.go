package main

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"
)

const swagger = `{"definitions": {
	"io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
	"io.k8s.apimachinery.pkg.util.intstr.IntOrString": {"type": "string", "format": "int-or-string"},
	"core.Pod": {"type": "object",
		"properties": {"spec": {"type": "object", "properties": {"name": {"type": "string"}}}},
		"x-kubernetes-group-version-kind": [{"group": "", "version": "v1", "kind": "Pod"}]},
	"networking.NetworkPolicy": {"type": "object",
		"properties": {"labels": {"type": "object", "additionalProperties": {"type": "string"}}},
		"x-kubernetes-group-version-kind": [{"group": "networking.k8s.io", "version": "v1", "kind": "NetworkPolicy"}]},
	"meta.DeleteOptions": {"type": "object", "x-kubernetes-group-version-kind": [
		{"group": "", "version": "v1", "kind": "DeleteOptions"}, {"group": "apps", "version": "v1", "kind": "DeleteOptions"}]},
	"crd.Open": {"type": "object", "properties": {"a": {"type": "string"}}, "x-kubernetes-preserve-unknown-fields": true}
}}`

func TestEachKindGetsAFileThatKubeconformLooksFor(t *testing.T) {
	files, err := convert([]byte(swagger))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{definitionsFile, "networkpolicy-networking-v1.json", "pod-v1.json"}
	if got := slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Fatalf("files = %q, want %q", got, want)
	}
	var policy struct {
		AllOf []struct {
			Ref        string                       `json:"$ref"`
			Properties map[string]map[string]string `json:"properties"`
		} `json:"allOf"`
	}
	if err := json.Unmarshal(files["networkpolicy-networking-v1.json"], &policy); err != nil {
		t.Fatal(err)
	}
	if got, want := policy.AllOf[0].Ref, "_definitions.json#/definitions/networking.NetworkPolicy"; got != want {
		t.Errorf("$ref = %q, want %q", got, want)
	}
	if got, want := policy.AllOf[1].Properties["apiVersion"]["const"], "networking.k8s.io/v1"; got != want {
		t.Errorf("apiVersion = %q, want %q", got, want)
	}
}

func TestDefinitionsRejectUnknownFieldsAndTakeNumbersWhereTheServerDoes(t *testing.T) {
	files, err := convert([]byte(swagger))
	if err != nil {
		t.Fatal(err)
	}
	var all struct {
		Definitions map[string]json.RawMessage `json:"definitions"`
	}
	if err := json.Unmarshal(files[definitionsFile], &all); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"io.k8s.apimachinery.pkg.api.resource.Quantity":   `{"type":["string","number"]}`,
		"io.k8s.apimachinery.pkg.util.intstr.IntOrString": `{"format":"int-or-string","type":["string","integer"]}`,
		"crd.Open": `{"properties":{"a":{"type":"string"}},"type":"object","x-kubernetes-preserve-unknown-fields":true}`,
		"core.Pod": `{"additionalProperties":false,"properties":{"spec":{"additionalProperties":false,"properties":{"name":{"type":"string"}},"type":"object"}},` +
			`"type":"object","x-kubernetes-group-version-kind":[{"group":"","kind":"Pod","version":"v1"}]}`,
		"networking.NetworkPolicy": `{"additionalProperties":false,"properties":{"labels":{"additionalProperties":{"type":"string"},"type":"object"}},` +
			`"type":"object","x-kubernetes-group-version-kind":[{"group":"networking.k8s.io","kind":"NetworkPolicy","version":"v1"}]}`,
	} {
		if got := string(all.Definitions[name]); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}
