package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
)

// api asks the API server.
type api struct {
	server string
	client *http.Client
}

func newAPI(server, authority string, p pair) (*api, error) {
	ca, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	cert, err := tls.LoadX509KeyPair(p.cert, p.key)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return &api{server: server, client: &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, Certificates: []tls.Certificate{cert}},
	}}}, nil
}

// get reads an object into a value, unless that is nil.
func (a *api) get(ctx context.Context, path string, into any) error {
	return a.request(ctx, http.MethodGet, path, "application/json", nil, into)
}

// patch merges a value into an object.
func (a *api) patch(ctx context.Context, path string, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return a.request(ctx, http.MethodPatch, path, "application/json", text, nil)
}

func (a *api) request(ctx context.Context, method, path, accept string, body []byte, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, a.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Accept", accept)
	if body != nil {
		req.Header.Set("Content-Type", "application/merge-patch+json")
	}
	res, err := a.client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %.500s", method, path, res.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

const (
	discovery = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	metadata  = "application/json;g=meta.k8s.io;v=v1;as=PartialObjectMetadataList"
)

// inventory is the names of all objects of all kinds in the whole cluster, but
// for the events.
type inventory map[string]bool

func (a *api) inventory(ctx context.Context) (inventory, error) {
	all := make(inventory)
	for _, root := range []string{"/api", "/apis"} {
		var groups groupList
		if err := a.request(ctx, http.MethodGet, root, discovery, nil, &groups); err != nil {
			return nil, err
		}
		for resource, path := range groups.listable(root) {
			var list struct {
				Items []struct {
					Metadata struct{ Namespace, Name string }
				}
			}
			if err := a.request(ctx, http.MethodGet, path, metadata, nil, &list); err != nil {
				return nil, err
			}
			for _, item := range list.Items {
				all[fmt.Sprintf("%s %s/%s", resource, item.Metadata.Namespace, item.Metadata.Name)] = true
			}
		}
	}
	return all, nil
}

// beyond is what others do not have, sorted.
func (i inventory) beyond(others inventory) []string {
	more := maps.Clone(i)
	maps.DeleteFunc(more, func(name string, _ bool) bool { return others[name] })
	return slices.Sorted(maps.Keys(more))
}

// groupList is the API's own list of what it has.
type groupList struct {
	Items []struct {
		Metadata struct{ Name string }
		Versions []struct {
			Version   string
			Resources []struct {
				Resource string
				Verbs    []string
			}
		}
	}
}

// listable is the paths of all resources that can be listed, by name: "jobs.batch".
func (g groupList) listable(root string) map[string]string {
	paths := make(map[string]string)
	for _, group := range g.Items {
		for _, version := range group.Versions {
			for _, resource := range version.Resources {
				name, path := resource.Resource, root+"/"+version.Version
				if group.Metadata.Name != "" {
					name, path = name+"."+group.Metadata.Name, root+"/"+group.Metadata.Name+"/"+version.Version
				}
				// The first version is the one that the group prefers.
				if paths[name] == "" && resource.Resource != "events" && slices.Contains(resource.Verbs, "list") {
					paths[name] = path + "/" + resource.Resource
				}
			}
		}
	}
	return paths
}
