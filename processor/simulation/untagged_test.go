//go:build !synctests

package simulation

// tagged says that Kafka's client was built to wait in a bubble of testing/synctest.
const tagged = false
