// Package apache installs and runs real Apache Kafka for tests: brokers that keep their data on a
// disk, elect leaders, lose them, and are killed by kill -9. The local run has no need of it; it
// has an embedded broker.
//
//	classpath, err := apache.Install(ctx, dir)             // once, by Maven
//	cluster, err := apache.Start(ctx, apache.Config{…})    // three brokers, a JVM each, on loopback
//	cluster.Kill(1)                                        // the others elect a leader
//	err = cluster.Restart(ctx, 1)
//
// Each broker is controller and broker at once (KRaft,
// https://kafka.apache.org/documentation/#kraft), so two of three must run for leaders to be
// elected and for acks=all to be acknowledged.
package apache
