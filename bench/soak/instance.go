package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/streamkeeper/streamkeeper/buffer"
	"github.com/streamkeeper/streamkeeper/buffer/registry"
	"github.com/streamkeeper/streamkeeper/burst"
	"github.com/streamkeeper/streamkeeper/demo"
	"github.com/streamkeeper/streamkeeper/internal/redistest"
)

type redisServer struct {
	*redistest.Server
	restarts int
}

// startRedis starts a server that remembers most of its data over a crash.
func startRedis(dir string) (*redisServer, error) {
	dir = filepath.Join(dir, "redis")
	if err := os.Mkdir(dir, 0o750); err != nil {
		return nil, err
	}
	server, err := redistest.Launch(dir, "--appendonly", "yes")
	return &redisServer{Server: server}, err
}

// downFor is how long a killed Redis stays away: longer than a lease.
const downFor = 5 * time.Second

// killNowAndThen kills the server n times, evenly over the length.
func (s *redisServer) killNowAndThen(ctx context.Context, length time.Duration, n int) error {
	for range n {
		if !sleep(ctx, length/time.Duration(n+1)-downFor) {
			return nil
		}
		s.Kill()
		sleep(ctx, downFor)
		if err := s.Run(); err != nil {
			return err
		}
		s.restarts++
		fmt.Fprintf(os.Stderr, "soak: Redis was killed and started again, %d of %d\n", s.restarts, n)
	}
	return nil
}

// Lives of the producers: some fifteen are there at any time.
const (
	producerEvery = time.Second
	producerLives = 15 * time.Second
)

// comeAndGo opens a session on a stream of its own each second, in all layouts
// and encodings in turn, and puts a message that nobody can read on each stream.
// It returns when ctx and with it every producer has ended.
func comeAndGo(ctx context.Context, client redis.UniversalClient) error {
	layouts := registry.Layouts()
	encodings := burst.Encodings()
	logging.Disable() // it is no news that Redis is away
	var producers sync.WaitGroup
	defer producers.Wait()
	for i := 0; ; i++ {
		role := demo.Role{
			Name: fmt.Sprintf("%ssession %d", demo.Prefix, i), Layout: layouts[i%len(layouts)],
			Encoding: encodings[i%len(encodings)], Size: 4 << 10,
		}
		producers.Go(func() {
			ctx, cancel := context.WithTimeout(ctx, producerLives)
			defer cancel()
			// A producer that finds no Redis gives up, and the next one tries.
			client.XAdd(ctx, &redis.XAddArgs{Stream: buffer.DefaultNames.StreamKey(role.Name), Values: []string{"id", "1", "data", "rubbish"}})
			_ = demo.NewProducers(client, demo.Options{Cast: []demo.Role{role}}).Run(ctx)
		})
		if !sleep(ctx, producerEvery) {
			return nil
		}
	}
}

// instance is a running streamkeeper.
type instance struct {
	cmd *exec.Cmd
	url string
	log *os.File
}

// startInstance builds streamkeeper and runs it with everything a thousand times
// as often as usual, or nearly.
func startInstance(ctx context.Context, dir, out, redisURL string) (*instance, error) {
	binary := filepath.Join(dir, "streamkeeper")
	if text, err := exec.CommandContext(ctx, "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("building streamkeeper: %w\n%s", err, text)
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(out, "streamkeeper.log"))
	if err != nil {
		return nil, err
	}
	k := &instance{cmd: exec.Command(binary, "run"), url: "http://" + address, log: log}
	k.cmd.Stderr = log
	k.cmd.Env = append(os.Environ(),
		"STREAMKEEPER_REDIS_URL="+redisURL, "STREAMKEEPER_REDIS_TIMEOUT=1s", "STREAMKEEPER_LISTEN="+address,
		"STREAMKEEPER_TRIM_SCHEDULE=@every 1s", "STREAMKEEPER_CLEANUP_SCHEDULE=@every 1s",
		"STREAMKEEPER_INSPECT_SCHEDULE=@every 1s", "STREAMKEEPER_METRICS_INTERVAL=1s", "STREAMKEEPER_LEASE_TTL=2s",
		"STREAMKEEPER_TRIM_MAX_LENGTH=50", "STREAMKEEPER_METRICS_STREAMS=10",
		"STREAMKEEPER_CLEANUP_EXPIRE_AFTER=8s", "STREAMKEEPER_CLEANUP_RETIRE_AFTER=8s", "STREAMKEEPER_CLEANUP_ALLOW_TINY=true", "STREAMKEEPER_CLEANUP_BRAKE=1",
	)
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting streamkeeper: %w", err)
	}
	sleep(ctx, 15*time.Second) // the first runs are spread over ten
	return k, nil
}

// stop ends streamkeeper as Kubernetes does.
func (k *instance) stop() error {
	if err := k.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := k.cmd.Wait(); err != nil {
		return fmt.Errorf("streamkeeper did not stop gracefully: %w", err)
	}
	return nil
}

// kill ends streamkeeper if it still runs.
func (k *instance) kill() {
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()
	_ = k.log.Close()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("looking for a free port: %w", err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String(), nil
}

// sleep reports whether ctx lived through it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
