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

// The label by which the Sidecar and the EnvoyFilter of a replica select it.
const replicaLabel = "replica"

// replica is a process that acts as a pod of a Deployment, with an Envoy as its sidecar.
type replica struct {
	Name       string `json:"name"`
	Deployment string `json:"deployment"`
	// The address of the pod, on which the sidecar accepts calls.
	Address string `json:"address"`
	// The port of the process, on 127.0.0.1.
	Port uint32 `json:"port"`
	// The address on which the sidecar accepts outgoing calls, and the service of calls that name no host.
	Egress string `json:"egress"`
	Calls  string `json:"calls"`
	// Whether the replica receives calls.
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

// pod is the Pod that the Deployment controller, the injector and the kubelet would create for a replica.
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

// slice is the EndpointSlice that the endpoint controller would create for a service and the pods that it selects.
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

// capture replaces the iptables rules of a pod, which one machine cannot have for many pods: the sidecar listens on
// addresses of its own. Everything else follows the Sidecar of the chart.
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

// resolve replaces DNS: calls to the address of the sidecar are for the service that the process calls.
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

// own is an object for this replica only. The oldest of several objects has precedence.
func (r replica) own(namespace string, kind config.GroupVersionKind, spec config.Spec) config.Config {
	return config.Config{Spec: spec, Meta: config.Meta{
		GroupVersionKind: kind, Name: "replica-" + r.Name, Namespace: namespace, Domain: "cluster.local",
		CreationTimestamp: time.Unix(1, 0),
	}}
}
