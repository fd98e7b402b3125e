package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
)

// pod is what of a Pod decides what runs in it.
type pod struct {
	Metadata struct {
		Name, Namespace, UID string
		Labels, Annotations  map[string]string
	}
	Spec struct {
		NodeName, RestartPolicy       string
		TerminationGracePeriodSeconds int
		Containers                    []container
		InitContainers                []container
		Volumes                       []volume
	}
	Status struct{ Phase string }
}

func (p *pod) path() string {
	return "/api/v1/namespaces/" + p.Metadata.Namespace + "/pods/" + p.Metadata.Name
}

type container struct {
	Name, Image   string
	Command, Args []string
	Env           []variable
	EnvFrom       []struct {
		Prefix                  string
		SecretRef, ConfigMapRef *reference
	}
	Ports        []struct{ ContainerPort int }
	Resources    struct{ Limits map[string]string }
	VolumeMounts []struct{ Name, MountPath, SubPath string }

	LivenessProbe, ReadinessProbe, StartupProbe *probe
}

type probe struct{ HTTPGet struct{ Path string } }

type variable struct {
	Name, Value string
	ValueFrom   struct {
		SecretKeyRef, ConfigMapKeyRef *reference
		ResourceFieldRef              *struct{ Resource string }
		FieldRef                      *struct{ FieldPath string }
	}
}

// reference is to an object, or to one of its keys.
type reference struct {
	Name, Key string
	Optional  bool
}

type volume struct {
	Name      string
	EmptyDir  *struct{}
	Secret    *source
	ConfigMap *source
	Projected *struct {
		Sources []struct{ Secret, ConfigMap *source }
	}
}

// source is the object that files are made of: of some of its keys, or of all.
type source struct {
	Name, SecretName string
	Items            []struct{ Key, Path string }
}

// contents reads a Secret or a ConfigMap: kind is secrets or configmaps.
func (k *kubelet) contents(ctx context.Context, p *pod, kind, name string) (map[string]string, error) {
	path := "/api/v1/namespaces/" + p.Metadata.Namespace + "/" + kind + "/" + name
	data := make(map[string]string)
	if kind == "configmaps" {
		return data, k.api.get(ctx, path, &struct{ Data map[string]string }{data})
	}
	var secret struct{ Data map[string][]byte }
	err := k.api.get(ctx, path, &secret)
	for key, value := range secret.Data {
		data[key] = string(value)
	}
	return data, err
}

// mount writes the files of the Pod's volumes below dir, a folder a volume.
func (k *kubelet) mount(ctx context.Context, p *pod, dir string) error {
	for _, v := range p.Spec.Volumes {
		to := filepath.Join(dir, v.Name)
		if err := os.MkdirAll(to, 0o700); err != nil {
			return err
		}
		secrets, configs := []*source{v.Secret}, []*source{v.ConfigMap}
		if v.Projected != nil {
			for _, s := range v.Projected.Sources {
				secrets, configs = append(secrets, s.Secret), append(configs, s.ConfigMap)
			}
		}
		for kind, sources := range map[string][]*source{"secrets": secrets, "configmaps": configs} {
			for _, s := range sources {
				if err := k.write(ctx, p, kind, s, to); err != nil {
					return fmt.Errorf("volume %s: %w", v.Name, err)
				}
			}
		}
	}
	return nil
}

// write writes the keys of a Secret or a ConfigMap to files.
func (k *kubelet) write(ctx context.Context, p *pod, kind string, s *source, dir string) error {
	if s == nil {
		return nil
	}
	data, err := k.contents(ctx, p, kind, s.Name+s.SecretName)
	if err != nil {
		return err
	}
	files := data
	if len(s.Items) > 0 {
		files = make(map[string]string)
		for _, item := range s.Items {
			text, ok := data[item.Key]
			if !ok {
				return fmt.Errorf("%s %s has no key %s", kind, s.Name+s.SecretName, item.Key)
			}
			files[item.Path] = text
		}
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// environment is the container's environment, in which files lie in dir
// instead of where they are mounted, and nothing of our own is left.
func (k *kubelet) environment(ctx context.Context, p *pod, c *container, dir string) ([]string, error) {
	var env []string
	add := func(name, value string) { env = append(env, name+"="+c.local(value, dir)) }
	for _, from := range c.EnvFrom {
		for kind, ref := range map[string]*reference{"secrets": from.SecretRef, "configmaps": from.ConfigMapRef} {
			if ref == nil {
				continue
			}
			data, err := k.contents(ctx, p, kind, ref.Name)
			if err != nil {
				return nil, err
			}
			for name, value := range data {
				add(from.Prefix+name, value)
			}
		}
	}
	for _, v := range c.Env {
		value, err := k.value(ctx, p, c, v)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", v.Name, err)
		}
		add(v.Name, value)
	}
	return env, nil
}

func (k *kubelet) value(ctx context.Context, p *pod, c *container, v variable) (string, error) {
	from := v.ValueFrom
	switch {
	case from.SecretKeyRef != nil:
		return k.key(ctx, p, "secrets", from.SecretKeyRef)
	case from.ConfigMapKeyRef != nil:
		return k.key(ctx, p, "configmaps", from.ConfigMapKeyRef)
	case from.ResourceFieldRef != nil:
		return limit(c.Resources.Limits, from.ResourceFieldRef.Resource)
	case from.FieldRef != nil:
		return p.field(from.FieldRef.FieldPath)
	}
	return v.Value, nil
}

func (k *kubelet) key(ctx context.Context, p *pod, kind string, ref *reference) (string, error) {
	data, err := k.contents(ctx, p, kind, ref.Name)
	if err != nil {
		return "", err
	}
	value, ok := data[ref.Key]
	if !ok && !ref.Optional {
		return "", fmt.Errorf("%s %s has no key %s", kind, ref.Name, ref.Key)
	}
	return value, nil
}

func (p *pod) field(path string) (string, error) {
	switch path {
	case "metadata.name":
		return p.Metadata.Name, nil
	case "metadata.namespace":
		return p.Metadata.Namespace, nil
	case "spec.nodeName":
		return p.Spec.NodeName, nil
	case "status.podIP":
		return "127.0.0.1", nil
	}
	return "", fmt.Errorf("field %s is not known here", path)
}

// limit is a limit of memory in bytes, or of processors rounded up, as the
// kubelet gives it to a container.
func limit(limits map[string]string, resource string) (string, error) {
	text, ok := limits[strings.TrimPrefix(resource, "limits.")]
	if !ok {
		return "", fmt.Errorf("there is no resource %s", resource)
	}
	number := strings.TrimRight(text, "mkMGTKi")
	n, ok := new(big.Rat).SetString(number)
	unit, known := map[string]*big.Rat{
		"": big.NewRat(1, 1), "m": big.NewRat(1, 1000), "k": big.NewRat(1e3, 1), "M": big.NewRat(1e6, 1), "G": big.NewRat(1e9, 1),
		"Ki": big.NewRat(1<<10, 1), "Mi": big.NewRat(1<<20, 1), "Gi": big.NewRat(1<<30, 1),
	}[text[len(number):]]
	if !ok || !known {
		return "", fmt.Errorf("%s is %q, which is not a quantity known here", resource, text)
	}
	n.Mul(n, unit)
	rounded, rest := new(big.Int).QuoRem(n.Num(), n.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		rounded.Add(rounded, big.NewInt(1))
	}
	return rounded.String(), nil
}

// local puts the folder of a volume for the path where it is mounted. One path may
// be how another begins.
func (c *container) local(text, dir string) string {
	for _, m := range c.VolumeMounts {
		text = strings.ReplaceAll(text, m.MountPath+"/", filepath.Join(dir, m.Name)+"/")
	}
	return text
}

// command is what runs in the container, by the program's name.
func (c *container) command(dir string) ([]string, error) {
	args := c.Args
	if len(c.Command) > 0 {
		if filepath.Base(c.Command[0]) != "streamkeeper" {
			return nil, fmt.Errorf("container %s runs %s, which is not streamkeeper", c.Name, c.Command[0])
		}
		args = append(c.Command[1:len(c.Command):len(c.Command)], args...)
	}
	local := make([]string, len(args))
	for i, arg := range args {
		local[i] = c.local(arg, dir)
	}
	return local, nil
}
