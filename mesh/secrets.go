package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"strings"
	"sync"
	"time"

	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	discovery "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	secret "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/anypb"
	kube "k8s.io/api/core/v1"
)

const (
	lifetime    = 24 * time.Hour
	secretType  = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
	ownSecret   = "default"
	trustSecret = "ROOTCA"
)

// authority is the certificate authority of the mesh. It issues each Envoy a certificate for the service account of its
// pod, as the Istio agent would.
type authority struct {
	secret.UnimplementedSecretDiscoveryServiceServer
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	// The service account of each pod, as namespace and name.
	accounts sync.Map
}

// know registers pods.
func (a *authority) know(pods []*kube.Pod) {
	for _, pod := range pods {
		a.accounts.Store(pod.Name+"."+pod.Namespace, "/ns/"+pod.Namespace+"/sa/"+pod.Spec.ServiceAccountName)
	}
}

func newAuthority() (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := validNow(1)
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &authority{key: key, certificate: certificate}, err
}

func (a *authority) serve(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	server := grpc.NewServer()
	secret.RegisterSecretDiscoveryServiceServer(server, a)
	go server.Serve(listener) //nolint:errcheck // it ends with the process
	return nil
}

// StreamSecrets answers every request once; a request with the nonce of a response acknowledges it.
func (a *authority) StreamSecrets(stream secret.SecretDiscoveryService_StreamSecretsServer) error {
	var node *core.Node
	for {
		request, err := stream.Recv()
		if err != nil {
			return err
		}
		if request.Node != nil {
			node = request.Node
		}
		if request.ResponseNonce != "" {
			continue
		}
		answer := &discovery.DiscoveryResponse{VersionInfo: "1", Nonce: "1", TypeUrl: secretType}
		for _, name := range request.ResourceNames {
			found, err := a.secret(name, node)
			if err != nil {
				return err
			}
			answer.Resources = append(answer.Resources, found)
		}
		if err := stream.Send(answer); err != nil {
			return err
		}
	}
}

func (a *authority) secret(name string, node *core.Node) (*anypb.Any, error) {
	if name == trustSecret {
		trusted := &tls.CertificateValidationContext{TrustedCa: inline("CERTIFICATE", a.certificate.Raw)}
		return anypb.New(&tls.Secret{Name: name, Type: &tls.Secret_ValidationContext{ValidationContext: trusted}})
	}
	if name != ownSecret {
		return nil, fmt.Errorf("no such secret: %s", name)
	}
	// kind~address~pod.namespace~domain
	parts := strings.Split(node.GetId(), "~")
	account, ok := a.accounts.Load(parts[min(2, len(parts)-1)])
	if !ok {
		return nil, fmt.Errorf("no such pod: %s", node.GetId())
	}
	certificate, err := a.issue(account.(string))
	if err != nil {
		return nil, err
	}
	return anypb.New(&tls.Secret{Name: name, Type: &tls.Secret_TlsCertificate{TlsCertificate: certificate}})
}

func (a *authority) issue(account string) (*tls.TlsCertificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := validNow(time.Now().UnixNano())
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	template.URIs = []*url.URL{{Scheme: "spiffe", Host: "cluster.local", Path: account}}
	certificate, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalECPrivateKey(key)
	return &tls.TlsCertificate{
		CertificateChain: inline("CERTIFICATE", certificate),
		PrivateKey:       inline("EC PRIVATE KEY", private),
	}, err
}

func validNow(serial int64) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{SerialNumber: big.NewInt(serial), NotBefore: now.Add(-time.Minute), NotAfter: now.Add(lifetime)}
}

func inline(kind string, der []byte) *core.DataSource {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	return &core.DataSource{Specifier: &core.DataSource_InlineBytes{InlineBytes: text}}
}
