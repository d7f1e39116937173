package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"time"

	networking "istio.io/api/networking/v1alpha3"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/labels"
	"istio.io/istio/pkg/config/schema/gvk"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The label that a replica's own Sidecar and EnvoyFilter select it by.
const replicaLabel = "replica"

// replica is a process that stands for a pod of a Deployment, with an Envoy for its sidecar.
type replica struct {
	Name       string `json:"name"`
	Deployment string `json:"deployment"`
	// Where its sidecar is called: the pod's address.
	Address string `json:"address"`
	// Where the process itself listens, on 127.0.0.1.
	Port uint32 `json:"port"`
	// Where its sidecar takes the calls that it makes, and to whom those go that name no host.
	Egress string `json:"egress"`
	Calls  string `json:"calls"`
	// Whether it gets calls.
	Ready bool `json:"ready"`
}

func readReplicas(file string) ([]replica, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var replicas []replica
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.DisallowUnknownFields()
	return replicas, decoder.Decode(&replicas)
}

// pod is what the Deployment's controller, the injector and the kubelet make for a replica.
func (r replica) pod(deployment *apps.Deployment) *core.Pod {
	template := deployment.Spec.Template
	own := maps.Clone(template.Labels)
	own[replicaLabel] = r.Name
	own["security.istio.io/tlsMode"] = "istio"
	return &core.Pod{
		ObjectMeta: meta.ObjectMeta{
			Name: r.Name, Namespace: deployment.Namespace, Labels: own, Annotations: template.Annotations,
		},
		Spec: template.Spec,
		Status: core.PodStatus{
			Phase: core.PodRunning, PodIP: r.Address, PodIPs: []core.PodIP{{IP: r.Address}},
			Conditions: []core.PodCondition{{Type: core.PodReady, Status: core.ConditionTrue}},
		},
	}
}

// slice is what the endpoint controller makes of a service and the pods that it selects.
func slice(service *core.Service, pods []*core.Pod, ready map[string]bool) *discovery.EndpointSlice {
	made := &discovery.EndpointSlice{
		ObjectMeta: meta.ObjectMeta{
			Name: service.Name + "-1", Namespace: service.Namespace,
			Labels: map[string]string{discovery.LabelServiceName: service.Name},
		},
		AddressType: discovery.AddressTypeIPv4,
	}
	for _, pod := range pods {
		if !selects(service, pod) {
			continue
		}
		if made.Ports == nil {
			made.Ports = ports(service, pod)
		}
		is := ready[pod.Name]
		made.Endpoints = append(made.Endpoints, discovery.Endpoint{
			Addresses:  []string{pod.Status.PodIP},
			Conditions: discovery.EndpointConditions{Ready: &is, Serving: &is},
			TargetRef:  &core.ObjectReference{Kind: "Pod", Name: pod.Name, Namespace: pod.Namespace},
		})
	}
	return made
}

func selects(service *core.Service, pod *core.Pod) bool {
	selector := labels.Instance(service.Spec.Selector)
	return len(selector) > 0 && service.Namespace == pod.Namespace && selector.SubsetOf(pod.Labels)
}

func ports(service *core.Service, pod *core.Pod) []discovery.EndpointPort {
	var made []discovery.EndpointPort
	for _, port := range service.Spec.Ports {
		target := int32(targetPort(port, pod))
		made = append(made, discovery.EndpointPort{Name: &port.Name, Port: &target, AppProtocol: port.AppProtocol})
	}
	return made
}

func targetPort(port core.ServicePort, pod *core.Pod) uint32 {
	for _, container := range pod.Spec.Containers {
		for _, named := range container.Ports {
			if port.TargetPort.Type == intstr.String && named.Name == port.TargetPort.StrVal {
				return uint32(named.ContainerPort)
			}
		}
	}
	if port.TargetPort.IntVal != 0 {
		return uint32(port.TargetPort.IntVal)
	}
	return uint32(port.Port)
}

// capture does what iptables would: one machine has no such rules for each of many pods, so the sidecar listens on
// addresses of its own. The rest stays as the chart's Sidecar says.
func (r replica) capture(pod *core.Pod, services []*core.Service, charted []config.Config) (config.Config, error) {
	spec := &networking.Sidecar{
		WorkloadSelector: &networking.WorkloadSelector{Labels: map[string]string{replicaLabel: r.Name}},
	}
	hosts := []string{"./*"}
	if scope := scopeOf(pod, charted); scope != nil {
		spec.OutboundTrafficPolicy, spec.InboundConnectionPool = scope.OutboundTrafficPolicy, scope.InboundConnectionPool
		hosts = nil
		for _, egress := range scope.Egress {
			hosts = append(hosts, egress.Hosts...)
		}
	}
	called := map[uint32]bool{}
	for _, service := range services {
		for _, port := range service.Spec.Ports {
			if port.AppProtocol == nil || *port.AppProtocol != "grpc" {
				continue
			}
			if selects(service, pod) && len(spec.Ingress) == 0 {
				spec.Ingress = append(spec.Ingress, &networking.IstioIngressListener{
					Port: &networking.SidecarPort{Number: targetPort(port, pod), Protocol: "GRPC", Name: "grpc"},
					Bind: r.Address, CaptureMode: networking.CaptureMode_NONE,
					DefaultEndpoint: fmt.Sprintf("127.0.0.1:%d", r.Port),
				})
			}
			if number := uint32(port.Port); !called[number] {
				called[number] = true
				spec.Egress = append(spec.Egress, &networking.IstioEgressListener{
					Port: &networking.SidecarPort{Number: number, Protocol: "GRPC", Name: fmt.Sprintf("grpc-%d", number)},
					Bind: r.Egress, CaptureMode: networking.CaptureMode_NONE, Hosts: hosts,
				})
			}
		}
	}
	if len(spec.Ingress) == 0 {
		return config.Config{}, fmt.Errorf("no service with appProtocol grpc selects the pods of Deployment %s", r.Deployment)
	}
	return r.own(pod.Namespace, gvk.Sidecar, spec), nil
}

func scopeOf(pod *core.Pod, charted []config.Config) *networking.Sidecar {
	var general *networking.Sidecar
	for _, object := range charted {
		scope, ok := object.Spec.(*networking.Sidecar)
		if !ok || object.Namespace != pod.Namespace {
			continue
		}
		if scope.WorkloadSelector == nil {
			general = scope
		} else if labels.Instance(scope.WorkloadSelector.Labels).SubsetOf(pod.Labels) {
			return scope
		}
	}
	return general
}

// resolve does what DNS would: what the process sends to the address of its sidecar is for the service that it calls.
func (r replica) resolve(pod *core.Pod, services []*core.Service) (config.Config, bool, error) {
	for _, service := range services {
		if service.Name == r.Calls && service.Namespace == pod.Namespace {
			spec := &networking.EnvoyFilter{}
			host := fmt.Sprintf("%s.%s.svc.cluster.local:%d", service.Name, service.Namespace, service.Spec.Ports[0].Port)
			text := fmt.Sprintf(`{"workloadSelector": {"labels": {%q: %q}}, "configPatches": [{
				"applyTo": "VIRTUAL_HOST",
				"match": {"context": "SIDECAR_OUTBOUND", "routeConfiguration": {"vhost": {"name": %q}}},
				"patch": {"operation": "MERGE", "value": {"domains": [%q, %q]}}}]}`,
				replicaLabel, r.Name, host, r.Egress, fmt.Sprintf("%s:%d", r.Egress, service.Spec.Ports[0].Port))
			err := config.ApplyJSONStrict(spec, text)
			return r.own(pod.Namespace, gvk.EnvoyFilter, spec), true, err
		}
	}
	return config.Config{}, false, nil
}

// own is an object for this replica alone. The oldest of several comes first.
func (r replica) own(namespace string, kind config.GroupVersionKind, spec config.Spec) config.Config {
	return config.Config{Spec: spec, Meta: config.Meta{
		GroupVersionKind: kind, Name: "replica-" + r.Name, Namespace: namespace, Domain: "cluster.local",
		CreationTimestamp: time.Unix(1, 0),
	}}
}
