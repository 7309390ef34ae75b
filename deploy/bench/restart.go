package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tributary/deploy/process"
)

// restart restarts two edges behind nginx in turn, under a constant load, and reloads their
// workspaces meanwhile. No request may fail, and every click that was answered must be in Kafka.
type restart struct {
	For         time.Duration `default:"20s" help:"How long clicks are sent."`
	Rate        float64       `default:"10000" help:"Clicks a second."`
	Connections int           `default:"64"`
	StopDelay   time.Duration `default:"1s" help:"How long a stopping edge goes on serving."`
	Ingest      string        `default:"bin/ingest" help:"The program that is measured."`
	Nginx       string        `default:"nginx" help:"The balancer (Debian's package nginx will do)."`
}

// nginxConfig is what an edge needs of nginx; everything else is turned off. By nginx's default a
// POST goes to the other edge if the first one refuses the connection, but not after it was sent.
const nginxConfig = `daemon off; worker_processes 1; pid nginx.pid; error_log error.log error;
events { worker_connections 2048; }
http {
	access_log off; client_body_temp_path body; proxy_temp_path proxy;
	fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
	upstream edges { server %s max_fails=0; server %s max_fails=0; keepalive 64; }
	server {
		listen %s;
		keepalive_requests 1000000000;
		location / { proxy_pass http://edges; proxy_http_version 1.1; proxy_set_header Connection ""; }
	}
}
`

// Run prints what happened, and returns an error when a request failed or a click is lost.
func (r *restart) Run(ctx context.Context) error {
	dir, broker, stopBroker, err := startBroker()
	if err != nil {
		return err
	}
	defer stopBroker()
	addrs, err := process.Addresses(3)
	if err != nil {
		return err
	}
	workspaces, err := writeWorkspaces(dir)
	if err != nil {
		return err
	}
	start := func(i int) (*server, error) {
		return startEdge(ctx, r.Ingest, addrs[i], filepath.Join(dir, "spool"+strconv.Itoa(i)),
			[]string{"--kafka-seeds", broker.addr,
				"--workspaces", workspaces, "--max-conns-per-ip", "0", "--stop-delay", r.StopDelay.String()})
	}
	var edges [2]*server
	for i := range edges {
		if edges[i], err = start(i); err != nil {
			return err
		}
		defer func() { edges[i].stop() }()
	}
	stopNginx, err := r.startNginx(dir, addrs)
	if err != nil {
		return err
	}
	defer stopNginx()

	senders, err := startSenders(ctx, "--addr", addrs[2], "--rate", fmt.Sprint(r.Rate), "--reconnect",
		"--connections", strconv.Itoa(r.Connections), "--for", r.For.String())
	if err != nil {
		return err
	}
	restarts, err := r.alternate(ctx, &edges, workspaces, start)
	if err != nil {
		return err
	}
	seen, err := senders.wait()
	if err != nil {
		return err
	}
	stored, err := distinct(ctx, broker.addr)
	if err != nil {
		return err
	}
	fmt.Printf("two edges behind nginx, %.0f clicks/s over %d connections for %s: %d restarts, as many reloads\n",
		r.Rate, r.Connections, r.For, restarts)
	fmt.Printf("%d answered with success, %d refused, %d connections broken; p50 %s, p99 %s\n",
		seen.Requests, seen.Failed, seen.Broken, seen.P50, seen.P99)
	fmt.Printf("in Kafka: %d different clicks; lost: %d\n", stored, max(0, seen.Requests-stored))
	if seen.Failed > 0 || seen.Broken > 0 || stored < seen.Requests || restarts == 0 {
		log, _ := os.ReadFile(filepath.Join(dir, "error.log"))
		return fmt.Errorf("a restart was noticed; nginx says:\n%s", log)
	}
	return nil
}

// alternate restarts the edges in turn while clicks are sent, each after a reload of the other, and
// returns how often.
func (r *restart) alternate(ctx context.Context, edges *[2]*server, workspaces string,
	start func(i int) (*server, error),
) (restarts int, err error) {
	begin := time.Now()
	for i := 0; time.Since(begin) < r.For-2*r.StopDelay; i = 1 - i {
		time.Sleep(r.StopDelay / 2)
		if err := r.reload(workspaces, edges[1-i]); err != nil {
			return restarts, err
		}
		if err := edges[i].end(ctx); err != nil {
			return restarts, err
		}
		if edges[i], err = start(i); err != nil {
			return restarts, err
		}
		restarts++
	}
	return restarts, nil
}

// startNginx starts the balancer at addrs[2] before the edges at the others.
func (r *restart) startNginx(dir string, addrs []string) (stop func(), err error) {
	config := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(config, fmt.Appendf(nil, nginxConfig, addrs[0], addrs[1], addrs[2]), 0o600); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o711); err != nil { // started by root, nginx works as another user
		return nil, err
	}
	cmd := exec.Command(r.Nginx, "-p", dir, "-c", config)
	var log strings.Builder
	cmd.Stderr = &log // until it has read where else to write
	p, err := process.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("%w (hint: apt-get install nginx)", err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", addrs[2])
		if err == nil {
			_ = c.Close()
			return p.Kill, nil
		}
		if time.Now().After(deadline) || !p.Alive() {
			p.Kill()
			return nil, fmt.Errorf("nginx does not listen: %s", log.String())
		}
	}
}

// reload gives the edge a workspaces file with one more key, by SIGHUP.
func (r *restart) reload(path string, edge *server) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	key := fmt.Sprintf(`"publishable_keys":["pk_%d",`, time.Now().UnixNano())
	again := strings.Replace(string(text), `"publishable_keys":[`, key, 1)
	if err := os.WriteFile(path+".new", []byte(again), 0o600); err != nil {
		return err
	}
	if err := os.Rename(path+".new", path); err != nil {
		return err
	}
	return syscall.Kill(edge.pid, syscall.SIGHUP)
}
