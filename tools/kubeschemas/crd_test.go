package main

import "testing"

const crd = `{"spec": {"group": "monitoring.coreos.com", "names": {"kind": "PodMonitor"}, "versions": [{"name": "v1", "schema": {"openAPIV3Schema": {
	"type": "object", "required": ["spec"], "properties": {
		"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"},
		"spec": {"type": "object", "properties": {"port": {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": true}}}}}}}]}}`

func TestACustomResourceGetsAStrictSchemaOfItsOwn(t *testing.T) {
	files := make(map[string][]byte)
	if err := convertCRD([]byte(crd), files); err != nil {
		t.Fatal(err)
	}
	want := `{"$schema":"http://json-schema.org/draft-07/schema#","additionalProperties":false,"properties":{` +
		`"apiVersion":{"const":"monitoring.coreos.com/v1"},"kind":{"const":"PodMonitor"},` +
		`"metadata":{"$ref":"_definitions.json#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"},` +
		`"spec":{"additionalProperties":false,"properties":{"port":{"anyOf":[{"type":"integer"},{"type":"string"}],"x-kubernetes-int-or-string":true}},"type":"object"}},` +
		`"required":["apiVersion","kind","metadata","spec"],"type":"object"}`
	if got := string(files["podmonitor-monitoring-v1.json"]); got != want {
		t.Errorf("the schema is\n%s, want\n%s", got, want)
	}
	if len(files) != 1 {
		t.Errorf("%d files, want one", len(files))
	}
}

func TestACustomResourceWithoutASchemaIsAnError(t *testing.T) {
	for _, text := range []string{`{`, `{"spec": {"versions": [{"name": "v1"}]}}`} {
		if err := convertCRD([]byte(text), make(map[string][]byte)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
