package manifests

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// cluster is what the manifests describe.
type cluster struct {
	pods      map[string]corev1.PodTemplateSpec // by kind/name
	selectors map[string]*metav1.LabelSelector  // what must match some pod, by who says so
	scaled    []string                          // kind/name of an autoscaler's target
	config    map[string]string
	secrets   map[string]string
}

// read reads every manifest strictly: an unknown or repeated field is an error.
func read(t *testing.T) *cluster {
	t.Helper()
	files, err := filepath.Glob("../kubernetes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d manifests, %v", len(files), err)
	}
	c := &cluster{pods: make(map[string]corev1.PodTemplateSpec), selectors: make(map[string]*metav1.LabelSelector)}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, document := range bytes.Split(text, []byte("\n---\n")) {
			if err := c.add(document); err != nil {
				t.Errorf("%s: %v\n%s", file, err, document)
			}
		}
	}
	return c
}

func (c *cluster) add(document []byte) error {
	var head metav1.TypeMeta
	if err := yaml.Unmarshal(document, &head); err != nil {
		return err
	}
	strict := func(into any) error { return yaml.UnmarshalStrict(document, into) }
	switch head.APIVersion + " " + head.Kind {
	case "v1 Namespace":
		return strict(new(corev1.Namespace))
	case "v1 ConfigMap":
		o := new(corev1.ConfigMap)
		err := strict(o)
		c.config = o.Data
		return err
	case "v1 Secret":
		o := new(corev1.Secret)
		err := strict(o)
		c.secrets = o.StringData
		return err
	case "v1 Service":
		o := new(corev1.Service)
		err := strict(o)
		c.selectors["Service "+o.Name] = &metav1.LabelSelector{MatchLabels: o.Spec.Selector}
		return err
	case "batch/v1 Job":
		o := new(batchv1.Job)
		err := strict(o)
		c.pods["Job/"+o.Name] = o.Spec.Template
		return err
	case "apps/v1 Deployment":
		o := new(appsv1.Deployment)
		err := strict(o)
		c.pods["Deployment/"+o.Name] = o.Spec.Template
		c.selectors["Deployment "+o.Name] = o.Spec.Selector
		return err
	case "apps/v1 StatefulSet":
		o := new(appsv1.StatefulSet)
		err := strict(o)
		c.pods["StatefulSet/"+o.Name] = o.Spec.Template
		c.selectors["StatefulSet "+o.Name] = o.Spec.Selector
		return err
	case "policy/v1 PodDisruptionBudget":
		o := new(policyv1.PodDisruptionBudget)
		err := strict(o)
		c.selectors["PodDisruptionBudget "+o.Name] = o.Spec.Selector
		return err
	case "autoscaling/v2 HorizontalPodAutoscaler":
		o := new(autoscalingv2.HorizontalPodAutoscaler)
		err := strict(o)
		c.scaled = append(c.scaled, o.Spec.ScaleTargetRef.Kind+"/"+o.Spec.ScaleTargetRef.Name)
		return err
	case "networking.k8s.io/v1 NetworkPolicy":
		o := new(networkingv1.NetworkPolicy)
		err := strict(o)
		c.selectors["NetworkPolicy "+o.Name] = &o.Spec.PodSelector
		return err
	}
	return os.ErrInvalid // a kind that this test does not know
}

// Selectors select something, autoscalers scale something, and no program may do more than it must.
func TestKubernetes(t *testing.T) {
	c := read(t)
	for who, s := range c.selectors {
		selector, err := metav1.LabelSelectorAsSelector(s)
		if err != nil {
			t.Errorf("%s: %v", who, err)
			continue
		}
		matches := false
		for _, pod := range c.pods {
			matches = matches || selector.Matches(labels.Set(pod.Labels))
		}
		if !matches {
			t.Errorf("%s selects no pod", who)
		}
	}
	for _, target := range c.scaled {
		if _, ok := c.pods[target]; !ok {
			t.Errorf("an autoscaler scales %s, which there is not", target)
		}
	}
	for name, pod := range c.pods {
		security := pod.Spec.SecurityContext
		if security == nil || security.RunAsNonRoot == nil || !*security.RunAsNonRoot ||
			pod.Spec.AutomountServiceAccountToken == nil || *pod.Spec.AutomountServiceAccountToken {
			t.Errorf("%s may be root, or has a token of the cluster", name)
		}
		for _, container := range slices.Concat(pod.Spec.InitContainers, pod.Spec.Containers) {
			own := container.SecurityContext
			if own == nil || own.ReadOnlyRootFilesystem == nil || !*own.ReadOnlyRootFilesystem ||
				own.AllowPrivilegeEscalation == nil || *own.AllowPrivilegeEscalation || own.Capabilities == nil {
				t.Errorf("%s %s may write to its image or gain privileges", name, container.Name)
			}
			if container.Resources.Limits.Memory().IsZero() || container.Resources.Requests.Cpu().IsZero() {
				t.Errorf("%s %s has no limit of memory or asks for no CPU", name, container.Name)
			}
			if err := collects(goLimit(container.Env), container.Resources.Limits.Memory().Value()); err != nil {
				t.Errorf("%s %s: %v", name, container.Name, err)
			}
			if !strings.HasPrefix(name, "Job/") && (container.ReadinessProbe == nil || container.LivenessProbe == nil) {
				t.Errorf("%s %s is probed for nothing", name, container.Name)
			}
		}
	}
}

func goLimit(env []corev1.EnvVar) string {
	for _, v := range env {
		if v.Name == "GOMEMLIMIT" {
			return v.Value
		}
	}
	return ""
}

// collects reports whether Go collects its garbage before a program is killed for its memory, and
// not all the time before that. limit is GOMEMLIMIT's value.
func collects(limit string, most int64) error {
	q, err := resource.ParseQuantity(strings.TrimSuffix(limit, "B"))
	if err != nil {
		return fmt.Errorf("GOMEMLIMIT is %q: %w", limit, err)
	}
	if v := q.Value(); v < most*3/4 || v > most*9/10 {
		return fmt.Errorf("GOMEMLIMIT is %s, want three quarters to nine tenths of %d bytes", limit, most)
	}
	return nil
}
