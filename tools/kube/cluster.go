package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// operator is the module with the definitions of the Prometheus Operator's kinds.
const operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

//go:embed node.yaml
var node []byte

// cluster is a Kubernetes without containers.
type cluster struct {
	*shell
	*api
	*processes
	kubelet *kubelet

	authority *authority
	// addr is that of the API server, store that of etcd.
	addr, store string
}

// startCluster starts it and waits until its node is ready.
func startCluster(ctx context.Context, t *transcript, started *processes, o options) (*cluster, error) {
	c := &cluster{processes: started, shell: &shell{transcript: t, bin: o.bin, env: []string{
		"KUBECONFIG=" + filepath.Join(started.dir, "admin.json"), "HOME=" + started.dir,
	}}}
	for _, part := range []struct {
		title string
		do    func() error
	}{
		{"certificates and kubeconfigs", c.identify},
		{"etcd and kube-apiserver", func() error { return c.startServer(ctx) }},
		{"kube-controller-manager, kube-scheduler and kwok", func() error { return c.startControllers(o.stages) }},
		{"a node", func() error { return c.addNode(ctx) }},
		{"the kinds of the Prometheus Operator", func() error { return c.addKinds(ctx) }},
	} {
		if err := t.step(part.title, part.do); err != nil {
			return nil, err
		}
	}
	c.kubelet = &kubelet{api: c.api, program: o.program, dir: started.dir, node: "node"}
	return c, nil
}

// identify makes the certificates, and a kubeconfig for each of those who speak
// to the API server.
func (c *cluster) identify() error {
	addrs, err := freeAddrs(2)
	if err != nil {
		return err
	}
	c.addr, c.store = addrs[0], addrs[1]
	if c.authority, err = newAuthority(filepath.Join(c.dir, "pki")); err != nil {
		return err
	}
	for _, who := range []struct{ file, user, group string }{
		{"admin", "admin", "system:masters"},
		{"kube-controller-manager", "system:kube-controller-manager", ""},
		{"kube-scheduler", "system:kube-scheduler", ""},
		{"kwok", "kwok", "system:masters"},
	} {
		p, err := c.authority.issue(who.user, who.group)
		if err != nil {
			return err
		}
		if err := c.writeKubeconfig(who.file, p); err != nil {
			return err
		}
		if who.file == "admin" {
			if c.api, err = newAPI("https://"+c.addr, c.authority.file(), p); err != nil {
				return err
			}
		}
	}
	c.say("the API server will listen on %s", c.addr)
	return nil
}

func (c *cluster) writeKubeconfig(file string, p pair) error {
	text, err := json.Marshal(map[string]any{
		"apiVersion": "v1", "kind": "Config", "current-context": "trial",
		"contexts": []any{map[string]any{"name": "trial", "context": map[string]any{"cluster": "trial", "user": "trial"}}},
		"clusters": []any{map[string]any{"name": "trial", "cluster": map[string]any{
			"server": "https://" + c.addr, "certificate-authority": c.authority.file(),
		}}},
		"users": []any{map[string]any{"name": "trial", "user": map[string]any{"client-certificate": p.cert, "client-key": p.key}}},
	})
	return errors.Join(err, os.WriteFile(c.kubeconfig(file), text, 0o600))
}

func (c *cluster) kubeconfig(who string) string { return filepath.Join(c.dir, who+".json") }

func (c *cluster) startServer(ctx context.Context) error {
	peers, err := freeAddrs(1)
	if err != nil {
		return err
	}
	etcd, err := c.start(filepath.Join(c.bin, "etcd"),
		"--data-dir="+filepath.Join(c.dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=http://"+c.store, "--advertise-client-urls=http://"+c.store,
		"--listen-peer-urls=http://"+peers[0], "--initial-advertise-peer-urls=http://"+peers[0], "--initial-cluster=default=http://"+peers[0])
	if err != nil {
		return err
	}
	if err := etcd.await(ctx, func() error { return dial(c.store) }); err != nil {
		return err
	}
	serving, err := c.authority.issue("kube-apiserver", "", "localhost")
	if err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(c.addr)
	server, err := c.start(filepath.Join(c.bin, "kube-apiserver"),
		"--etcd-servers=http://"+c.store,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+port, "--endpoint-reconciler-type=none",
		"--tls-cert-file="+serving.cert, "--tls-private-key-file="+serving.key, "--client-ca-file="+c.authority.file(),
		"--authorization-mode=RBAC", "--service-cluster-ip-range=10.0.0.0/24,fd00::/112",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+serving.key, "--service-account-signing-key-file="+serving.key)
	if err != nil {
		return err
	}
	if err := server.await(ctx, func() error { return c.get(ctx, "/readyz", nil) }); err != nil {
		return err
	}
	return c.run(ctx, "kubectl", "version")
}

// startControllers starts what makes Pods of Deployments and Jobs of CronJobs,
// puts Pods on the node, and says that they run there.
func (c *cluster) startControllers(stages string) error {
	serving := filepath.Join(c.dir, "pki", "ca.key")
	_, err := c.start(filepath.Join(c.bin, "kube-controller-manager"),
		"--kubeconfig="+c.kubeconfig("kube-controller-manager"), "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials=true", "--service-account-private-key-file="+serving, "--root-ca-file="+c.authority.file())
	if err != nil {
		return err
	}
	_, err = c.start(filepath.Join(c.bin, "kube-scheduler"), "--kubeconfig="+c.kubeconfig("kube-scheduler"), "--leader-elect=false", "--secure-port=0")
	if err != nil {
		return err
	}
	// Not pod/fast/pod-complete.yaml: a Job's Pod ends when its command does.
	args := []string{"--kubeconfig=" + c.kubeconfig("kwok"), "--manage-all-nodes"}
	for _, stage := range []string{"node/fast/node-initialize", "node/heartbeat-with-lease/node-heartbeat-with-lease", "pod/fast/pod-ready", "pod/fast/pod-delete"} {
		args = append(args, "--config="+filepath.Join(stages, stage+".yaml"))
	}
	_, err = c.start(filepath.Join(c.bin, "kwok"), args...)
	return err
}

func (c *cluster) addNode(ctx context.Context) error {
	if err := c.pipe(ctx, node, "kubectl", "apply", "-f", "-"); err != nil {
		return err
	}
	return c.run(ctx, "kubectl", "wait", "--for=condition=Ready", "node/node", "--timeout=60s")
}

func (c *cluster) addKinds(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", operator)
	cmd.Dir = os.TempDir() // outside any module
	out, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("go mod download %s: %w", operator, err)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(out, &module); err != nil {
		return err
	}
	for _, kind := range []string{"podmonitors", "prometheusrules", "servicemonitors"} {
		file := filepath.Join(module.Dir, "jsonnet", "prometheus-operator", kind+"-crd.json")
		text, err := c.output(ctx, nil, "kubectl", "create", "-f", file)
		c.quote(string(text))
		if err != nil {
			return err
		}
	}
	return c.run(ctx, "kubectl", "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
}

func dial(addr string) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// startKubelet has the node run Pods, until the function that it returns is
// called. The context ends if that fails.
func (c *cluster) startKubelet(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		cancel(fmt.Errorf("running Pods: %w", c.kubelet.serve(ctx)))
	}()
	return ctx, func() {
		cancel(nil)
		<-ended
	}
}
