package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/gvk"
	"istio.io/istio/pkg/config/schema/resource"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

// The largest object, in bytes.
const maxObject = 1 << 20

var strict = serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()

// objects of YAML streams, by consumer.
type objects struct {
	kubernetes []runtime.Object
	istio      []config.Config
}

// read decodes every object of the files strictly. All errors are reported at once.
func read(files []string, namespace string) (objects, error) {
	var all objects
	var wrong []error
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return all, err
		}
		documents := kubeyaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
		for {
			document, err := next(documents)
			if err == io.EOF {
				break
			}
			if err == nil {
				err = all.add(document, namespace)
			}
			if err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", file, err))
			}
		}
	}
	return all, errors.Join(wrong...)
}

func next(documents io.Reader) ([]byte, error) {
	document := make([]byte, maxObject)
	size, err := documents.Read(document)
	if err == io.ErrShortBuffer {
		return nil, fmt.Errorf("an object of more than %d bytes", maxObject)
	}
	return document[:size], err
}

func (all *objects) add(document []byte, namespace string) error {
	var kind metav1.PartialObjectMetadata
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return err
	}
	if kind.Kind == "" && len(bytes.TrimSpace(uncommented(document))) == 0 {
		return nil
	}
	gvk := kind.GroupVersionKind()
	name := fmt.Sprintf("%s %s", gvk.Kind, kind.Name)
	if schema, ok := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&gvk)); ok {
		object, err := decodeIstio(schema, document, namespace)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		all.istio = append(all.istio, object)
		return nil
	}
	object, _, err := strict.Decode(document, nil, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if accessor, err := meta.Accessor(object); err == nil && accessor.GetNamespace() == "" && gvk.Kind != "Namespace" {
		accessor.SetNamespace(namespace)
	}
	all.kubernetes = append(all.kubernetes, object)
	return nil
}

// decodeIstio validates objects as the admission webhook of istiod does.
func decodeIstio(schema resource.Schema, document []byte, namespace string) (config.Config, error) {
	var kind crd.IstioKind
	if err := yaml.UnmarshalStrict(document, &kind); err != nil {
		return config.Config{}, err
	}
	if kind.Namespace == "" {
		kind.Namespace = namespace
	}
	object, err := crd.ConvertObjectInternal(schema, &kind, "cluster.local", strictly)
	if err != nil {
		return config.Config{}, err
	}
	warning, err := schema.ValidateConfig(*object)
	if schema.Kind() == gvk.EnvoyFilter.Kind { // always gets a warning
		warning = nil
	}
	return *object, errors.Join(err, warning)
}

func strictly(schema resource.Schema, json string) (config.Spec, error) {
	spec, err := schema.NewInstance()
	if err != nil {
		return nil, err
	}
	return spec, config.ApplyJSONStrict(spec, json)
}

func uncommented(document []byte) []byte {
	var lines [][]byte
	for _, line := range bytes.Split(document, []byte("\n")) {
		if line = bytes.TrimSpace(line); !bytes.HasPrefix(line, []byte("#")) && !bytes.Equal(line, []byte("---")) {
			lines = append(lines, line)
		}
	}
	return bytes.Join(lines, nil)
}
