// Package manifests checks the files by which others run Tributary: compose, Kubernetes and
// systemd. It is a module of its own, so that the readers of those files are no dependencies of the
// programs.
//
// The machines that test this have no container engine. So the files are read by the reference
// implementation of compose and by the types of Kubernetes' API, both strictly, and every command
// that they start is started as a process of this machine, with its own flags and environment.
package manifests
