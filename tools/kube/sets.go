package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/streamkeeper/streamkeeper/burst"
)

// set is one way to install the chart.
type set struct {
	// name is also that of the namespace.
	name string
	// file is one of the chart's ci/, and mode is what it asks for.
	file, mode string
	// values are put over the file.
	values []string
	// start starts the Redis that it speaks of.
	start func(ctx context.Context, p *processes) (*buffer, error)
	// stream is long before a run, and at most so long after it.
	stream string
	limit  int64
	// scheduled is whether the CronJob's own schedule is waited for, once.
	scheduled bool
}

func sets() []set {
	return []set{
		{
			name: "daemon", file: "daemon-values.yaml", mode: "daemon", start: startTLS,
			values: []string{"trim.maxLength=2000", "trim.maxAge=0", "trim.minAge=0", "trim.pressure=0"},
			stream: "rta:stream:car-1", limit: 2000,
		},
		{
			name: "cronjob", file: "cronjob-values.yaml", mode: "cronjob", start: startSentinel,
			values: []string{"dryRun=false", "cronjob.suspend=false", "cronjob.schedule=* * * * *"},
			stream: "stream:car-1", limit: 10_100, scheduled: true,
		},
		{
			name: "production", file: "production-values.yaml", mode: "daemon", start: startOneNode,
			stream: "stream:car-1", limit: 10_100,
		},
		{
			name: "per-job", file: "cronjob-per-job-values.yaml", mode: "cronjob", start: startPlain,
			stream: "stream:car-1", limit: 10_100,
		},
	}
}

// buffer is a Redis for one set.
type buffer struct {
	client redis.UniversalClient
	// values tell the chart where it is; secrets are what they refer to.
	values  []string
	secrets map[string]map[string]string
	// gateway is where runs push their metrics, if they do.
	gateway *gateway
}

const entries = 30_000

// fill makes a stream of bursts longer than any limit here.
func (b *buffer) fill(ctx context.Context, key string) error {
	data, err := burst.PackSessionJSON(burst.Pickle, []byte(`{"identity":"a","state":"open"}`))
	if err != nil {
		return err
	}
	_, err = b.client.Pipelined(ctx, func(p redis.Pipeliner) error {
		for range entries {
			p.XAdd(ctx, &redis.XAddArgs{Stream: key, Values: []any{"id", 1, "data", data}})
		}
		prefix, name, _ := strings.Cut(key, "stream:")
		return p.SAdd(ctx, prefix+"streams", name).Err()
	})
	return err
}

// startTLS starts a server that wants a client certificate, and a user's password.
func startTLS(ctx context.Context, p *processes) (*buffer, error) {
	dir := filepath.Join(p.dir, "tls")
	a, err := newAuthority(dir)
	if err != nil {
		return nil, err
	}
	server, err := a.issue("redis", "", "redis.example.com")
	if err != nil {
		return nil, err
	}
	client, err := a.issue("keeper", "")
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	_, port, _ := net.SplitHostPort(addrs[0])
	// Without TLS for our own client alone.
	plain, err := p.startRedis(ctx, "--tls-port", port, "--tls-ca-cert-file", a.file(), "--tls-cert-file", server.cert,
		"--tls-key-file", server.key, "--tls-auth-clients", "yes", "--user", "keeper", "on", ">secret", "~*", "&*", "+@all")
	if err != nil {
		return nil, err
	}
	files := make(map[string]string)
	for key, file := range map[string]string{"ca.crt": a.file(), "tls.crt": client.cert, "tls.key": client.key} {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		files[key] = string(text)
	}
	return &buffer{
		client:  redis.NewClient(&redis.Options{Addr: plain, DB: 1, Protocol: 2}),
		values:  []string{"redis.url=rediss://" + addrs[0] + "/1"},
		secrets: map[string]map[string]string{"redis-credentials": {"password": "secret"}, "redis-certificates": files},
	}, nil
}

// startSentinel starts a server that wants a password, and a Sentinel that
// wants another. The whole URL is in a Secret.
func startSentinel(ctx context.Context, p *processes) (*buffer, error) {
	data, err := p.startRedis(ctx, "--requirepass", "secret")
	if err != nil {
		return nil, err
	}
	addrs, err := freeAddrs(1)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(data)
	_, own, _ := net.SplitHostPort(addrs[0])
	file := filepath.Join(p.dir, "sentinel.conf")
	text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor buffer %s %s 1\nsentinel auth-pass buffer secret\n"+
		"user default off\nuser keeper on >sentinel-secret allcommands allchannels\n", own, p.dir, host, port)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, err
	}
	sentinel, err := p.start("redis-server", file, "--sentinel")
	if err != nil {
		return nil, err
	}
	if err := sentinel.await(ctx, func() error { return dial(addrs[0]) }); err != nil {
		return nil, err
	}
	gateway, err := startGateway(ctx)
	if err != nil {
		return nil, err
	}
	return &buffer{
		client: redis.NewClient(&redis.Options{Addr: data, Password: "secret", Protocol: 2}),
		secrets: map[string]map[string]string{
			"redis-credentials":   {"url": "redis://:secret@" + addrs[0] + "/0?master_name=buffer", "sentinel": "sentinel-secret"},
			"gateway-credentials": {"url": gateway.url},
		},
		gateway: gateway,
	}, nil
}

// startPlain starts a server that wants nothing.
func startPlain(ctx context.Context, p *processes) (*buffer, error) {
	addr, err := p.startRedis(ctx)
	if err != nil {
		return nil, err
	}
	host, port, _ := net.SplitHostPort(addr)
	return &buffer{
		client: redis.NewClient(&redis.Options{Addr: addr, DB: 3, Protocol: 2}),
		values: []string{"redis.host=" + host, "redis.port=" + port},
	}, nil
}

// startOneNode starts a Redis Cluster of one node, which wants a user's password.
func startOneNode(ctx context.Context, p *processes) (*buffer, error) {
	bus, err := freeAddrs(1) // by default the bus has a port that may be a connection's
	if err != nil {
		return nil, err
	}
	_, busPort, _ := net.SplitHostPort(bus[0])
	addr, err := p.startRedis(ctx, "--cluster-enabled", "yes", "--cluster-port", busPort, "--user", "keeper", "on", ">secret", "~*", "&*", "+@all")
	if err != nil {
		return nil, err
	}
	single := redis.NewClient(&redis.Options{Addr: addr, Protocol: 2})
	defer func() { _ = single.Close() }()
	if err := single.ClusterAddSlotsRange(ctx, 0, 16383).Err(); err != nil {
		return nil, err
	}
	b := &buffer{
		client:  redis.NewClusterClient(&redis.ClusterOptions{Addrs: []string{addr}, Protocol: 2}),
		values:  []string{"redis.url=redis://" + addr + "/0"},
		secrets: map[string]map[string]string{"redis-credentials": {"username": "keeper", "password": "secret"}},
	}
	return b, until(ctx, 10*time.Second, "waiting for the cluster", func() error {
		info, err := single.ClusterInfo(ctx).Result()
		if err == nil && !strings.Contains(info, "cluster_state:ok") {
			err = errors.New("it is not ok")
		}
		return err
	})
}
