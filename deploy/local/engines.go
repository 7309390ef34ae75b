package main

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/kafka"
)

// Kafka is the embedded broker as a program of its own.
type Kafka struct {
	Data      string `default:"./data" help:"Data directory; the broker uses kafka/ in it." placeholder:"DIR"`
	KafkaAddr string `default:"127.0.0.1:9092" help:"Address to listen on and to advertise."`
	Sync      bool   `name:"kafka-sync" help:"Flush every batch to the disk before it is acknowledged, so that it survives a power cut too."`
}

// Run serves until SIGINT or SIGTERM.
func (k *Kafka) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if _, err := openDataDir(k.Data); err != nil {
		return err
	}
	broker, err := kafka.Start(kafka.Config{
		Addr:    k.KafkaAddr,
		DataDir: filepath.Join(k.Data, "kafka"),
		Sync:    k.Sync,
		Logger:  kfake.BasicLogger(os.Stderr, kfake.LogLevelWarn),
	})
	if err != nil {
		return err
	}
	<-ctx.Done()
	broker.Close()
	return nil
}

// ClickHouse is the embedded engine as a program of its own.
type ClickHouse struct {
	Data           string `default:"./data" help:"Data directory; the engine uses clickhouse/ in it." placeholder:"DIR"`
	ClickHouseAddr string `name:"clickhouse-addr" default:"127.0.0.1:8123" help:"Address of the HTTP interface."`
}

// Run serves until SIGINT or SIGTERM.
func (c *ClickHouse) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	library, err := chdb.Find()
	if err != nil {
		return err
	}
	if _, err := openDataDir(c.Data); err != nil {
		return err
	}
	kept, err := keepSecrets(c.Data)
	if err != nil {
		return err
	}
	// Listen first: a taken port is then reported before the engine is loaded, which takes a
	// second.
	l, err := net.Listen("tcp", c.ClickHouseAddr)
	if err != nil {
		return fmt.Errorf("listen for ClickHouse: %w (hint: choose another address with --clickhouse-addr)", err)
	}
	engine, err := chdb.Open(library, filepath.Join(c.Data, "clickhouse"),
		chdb.WithPasswords(kept.ClickHousePassword, kept.ClickHouseReadOnlyPassword))
	if err != nil {
		return errors.Join(err, l.Close())
	}
	server := engine.Server()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	select {
	case err = <-served:
	case <-ctx.Done():
		// Statements under way are finished; the caller kills us if they take too long.
		err = server.Shutdown(context.Background())
	}
	return errors.Join(err, engine.Close())
}

// serverConfig writes the settings of a locally installed ClickHouse server and returns the file.
// Its data is kept apart from the embedded engine's: the two may be of different versions.
func serverConfig(dataDir, addr string, kept secrets) (string, error) {
	host, port, err := splitAddr(addr)
	if err != nil {
		return "", fmt.Errorf("read address of ClickHouse: %w", err)
	}
	dir, err := filepath.Abs(filepath.Join(dataDir, "clickhouse-server"))
	if err != nil {
		return "", fmt.Errorf("find data directory: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make data directory: %w", err)
	}
	text := strings.NewReplacer("HOST", escapeXML(host), "PORT", strconv.Itoa(port), "DIR",
		escapeXML(dir)).Replace(serverXML)
	path := filepath.Join(dir, "config.xml")
	if err := replaceFile(path, []byte(text)); err != nil {
		return "", err
	}
	users := strings.NewReplacer("READERS_PASSWORD", escapeXML(kept.ClickHouseReadOnlyPassword),
		"READER", chdb.ReadOnlyUser, "PASSWORD", escapeXML(kept.ClickHousePassword)).Replace(usersXML)
	return path, replaceFile(filepath.Join(dir, "users.xml"), []byte(users))
}

func escapeXML(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}

// One HTTP port on the given address and nothing else; the caches are a laptop's.
const serverXML = `<clickhouse>
  <logger><level>warning</level><console>true</console></logger>
  <listen_host>HOST</listen_host>
  <http_port>PORT</http_port>
  <path>DIR/</path>
  <tmp_path>DIR/tmp/</tmp_path>
  <user_files_path>DIR/user_files/</user_files_path>
  <format_schema_path>DIR/format_schemas/</format_schema_path>
  <mark_cache_size>268435456</mark_cache_size>
  <user_directories>
    <users_xml><path>DIR/users.xml</path></users_xml>
  </user_directories>
</clickhouse>
`

// The two users that the embedded engine has: the programs, and people, who may only read tables.
const usersXML = `<clickhouse>
  <profiles>
    <default/>
    <reader><readonly>2</readonly></reader>
  </profiles>
  <users>
    <default>
      <password>PASSWORD</password>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
    <READER>
      <password>READERS_PASSWORD</password>
      <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
      <profile>reader</profile>
      <quota>default</quota>
      <grants><query>GRANT SHOW, SELECT, dictGet ON *.*</query></grants>
    </READER>
  </users>
  <quotas><default/></quotas>
</clickhouse>
`
