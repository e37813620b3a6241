package runwire

import (
	"net"
	"net/url"
	"slices"
	"strings"
)

const (
	variableURI = "RUNWIRE_TRACKING_URI"
	grpcPort    = "5001"
)

// address is a tracking URI that was read: where the service is.
type address struct {
	shown     string   // without a password, for messages
	web       string   // URL of the web port; empty: endpoints are known
	endpoints []string // each HOST:PORT
	secure    bool
}

func readURI(text string) (*address, error) {
	scheme, rest, found := strings.Cut(text, "://")
	if !found || !slices.Contains([]string{"grpc", "grpcs", "http", "https"}, scheme) {
		return nil, invalid("tracking_uri", "%q is no address of a server; write http(s)://HOST:5000 "+
			"(the web port) or grpc(s)://HOST:5001", text)
	}
	if scheme == "http" || scheme == "https" {
		return readWeb(text)
	}
	made := &address{shown: text, secure: scheme == "grpcs"}
	for server := range strings.SplitSeq(strings.TrimRight(rest, "/"), ",") {
		endpoint, err := readEndpoint(scheme + "://" + server)
		if err != nil {
			return nil, invalid("tracking_uri", "%q: %v; write %s://HOST:%s", text, err, scheme, grpcPort)
		}
		made.endpoints = append(made.endpoints, endpoint)
	}
	return made, nil
}

func readWeb(text string) (*address, error) {
	parts, err := url.Parse(text)
	if err != nil || parts.Hostname() == "" {
		return nil, invalid("tracking_uri", "%q names no host; write http://HOST:5000", text)
	}
	if strings.Contains(parts.Host, ",") {
		return nil, invalid("tracking_uri",
			"%q: several servers go by their gRPC addresses, grpc://HOST:5001,HOST:5001", text)
	}
	return &address{shown: parts.Redacted(), web: strings.TrimRight(text, "/"), secure: parts.Scheme == "https"}, nil
}

type uriError string

func (e uriError) Error() string { return string(e) }

func readEndpoint(text string) (string, error) {
	parts, err := url.Parse(text)
	switch {
	case err != nil:
		return "", err
	case parts.Hostname() == "" || parts.Port() == "0":
		return "", uriError("it names no host")
	case parts.Path != "":
		return "", uriError("a gRPC address has no path")
	}
	return joinHost(parts.Hostname(), parts.Port()), nil
}

func joinHost(host, port string) string {
	if port == "" {
		port = grpcPort
	}
	return net.JoinHostPort(host, port)
}
