package main

import (
	"context"
	"fmt"
	"net"
	"os"

	"google.golang.org/protobuf/proto"
	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/test/xds"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/test"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/errors"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"
)

// plan lists the files to serve.
type plan struct {
	namespace, mesh, replicas string
	files                     []string
}

// world is the input of istiod.
type world struct {
	// Namespaces, Services, Secrets and ConfigMaps.
	kubernetes []runtime.Object
	pods       []*core.Pod
	slices     []*discovery.EndpointSlice
	istio      []config.Config
}

// istiod serves a world.
type istiod struct {
	plan      plan
	authority *authority
	server    *xds.FakeDiscoveryServer
}

func start(t test.Failer, plan plan, authority *authority, address string) (*istiod, error) {
	now, err := plan.world()
	if err != nil {
		return nil, err
	}
	settings, err := readMesh(plan.mesh)
	if err != nil {
		return nil, err
	}
	authority.know(now.pods)
	known := now.kubernetes
	for _, pod := range now.pods {
		known = append(known, pod)
	}
	for _, slice := range now.slices {
		known = append(known, slice)
	}
	server := xds.NewFakeDiscoveryServer(t, xds.FakeOptions{
		KubernetesObjects: known, Configs: now.istio, MeshConfig: settings, DisableSecretAuthorization: true,
		ListenerBuilder: func() (net.Listener, error) { return net.Listen("tcp", address) },
	})
	return &istiod{plan, authority, server}, nil
}

// readMesh reads the mesh configuration from values of istiod's chart.
func readMesh(file string) (*meshconfig.MeshConfig, error) {
	if file == "" {
		return mesh.DefaultMeshConfig(), nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var values struct {
		MeshConfig map[string]any `json:"meshConfig"`
	}
	if err := yaml.UnmarshalStrict(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	settings, err := yaml.Marshal(values.MeshConfig)
	if err != nil {
		return nil, err
	}
	return mesh.ApplyMeshConfigDefaults(string(settings))
}

// reload applies the changes in the files. Objects that were removed from the files are kept.
func (i *istiod) reload() error {
	now, err := i.plan.world()
	if err != nil {
		return err
	}
	i.authority.know(now.pods)
	cluster := i.server.KubeClient().Kube()
	for _, pod := range now.pods {
		_, err := cluster.CoreV1().Pods(pod.Namespace).Create(context.Background(), pod, meta.CreateOptions{})
		if err != nil && !errors.IsAlreadyExists(err) {
			return err
		}
	}
	for _, slice := range now.slices {
		slices := cluster.DiscoveryV1().EndpointSlices(slice.Namespace)
		if _, err := slices.Update(context.Background(), slice, meta.UpdateOptions{}); err != nil {
			return err
		}
	}
	for _, object := range now.istio {
		if err := i.put(object); err != nil {
			return fmt.Errorf("%s %s: %w", object.GroupVersionKind.Kind, object.Name, err)
		}
	}
	return nil
}

// put stores an Istio object if it is new or changed.
func (i *istiod) put(object config.Config) error {
	store := i.server.Store()
	known := store.Get(object.GroupVersionKind, object.Name, object.Namespace)
	if known == nil {
		_, err := store.Create(object)
		return err
	}
	if proto.Equal(known.Spec.(proto.Message), object.Spec.(proto.Message)) {
		return nil
	}
	_, err := store.Update(object)
	return err
}

// world reads the files and adds the objects that controllers would create for them and the replicas.
func (p plan) world() (world, error) {
	objects, err := read(p.files, p.namespace)
	if err != nil {
		return world{}, err
	}
	replicas, err := readReplicas(p.replicas)
	if err != nil {
		return world{}, fmt.Errorf("%s: %w", p.replicas, err)
	}
	now := world{istio: objects.istio}
	deployments := map[string]*apps.Deployment{}
	var services []*core.Service
	for _, object := range objects.kubernetes {
		switch object := object.(type) {
		case *apps.Deployment:
			deployments[object.Name] = object
		case *core.Service:
			services = append(services, object)
			now.kubernetes = append(now.kubernetes, object)
		case *core.Namespace, *core.Secret, *core.ConfigMap:
			now.kubernetes = append(now.kubernetes, object)
		case *core.Pod:
			if object.Status.PodIP != "" {
				now.pods = append(now.pods, object)
			}
		}
	}
	return now, now.add(replicas, deployments, services)
}

func (w *world) add(replicas []replica, deployments map[string]*apps.Deployment, services []*core.Service) error {
	ready := map[string]bool{}
	for _, pod := range w.pods {
		ready[pod.Name] = true
	}
	charted := w.istio
	for _, replica := range replicas {
		deployment, ok := deployments[replica.Deployment]
		if !ok {
			return fmt.Errorf("no Deployment %s", replica.Deployment)
		}
		pod := replica.pod(deployment)
		capture, err := replica.capture(pod, services, charted)
		if err != nil {
			return err
		}
		w.istio = append(w.istio, capture)
		resolve, ok, err := replica.resolve(pod, services)
		if err != nil {
			return err
		}
		if ok {
			w.istio = append(w.istio, resolve)
		}
		ready[pod.Name] = replica.Ready
		w.pods = append(w.pods, pod)
	}
	for _, service := range services {
		if len(service.Spec.Selector) > 0 {
			w.slices = append(w.slices, slice(service, w.pods, ready))
		}
	}
	return nil
}
