package runwire

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

const (
	discoveryPath    = "/api/v1/server"
	discoveryTimeout = 10 * time.Second
	mostAnswerBytes  = 1 << 20
	mostRedirects    = 10
)

// discover asks the web port where gRPC is served: HOST:PORT.
func discover(ctx context.Context, web string, config *tls.Config) (string, error) {
	limited, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	told, err := askWeb(limited, web, config)
	if err != nil {
		return "", ended(ctx, err, "asking "+web)
	}
	came, _ := url.Parse(web)
	host, port, err := net.SplitHostPort(told)
	if err != nil {
		host, port = told, ""
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = came.Hostname() // it listens everywhere; where we came is one
	}
	return joinHost(host, port), nil
}

func askWeb(ctx context.Context, web string, config *tls.Config) (string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, web+discoveryPath, nil)
	if err != nil {
		return "", invalid("tracking_uri", "%v", err)
	}
	request.Header.Set("Accept", "application/json")
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true}
	response, err := (&http.Client{Transport: transport, CheckRedirect: checkRedirect}).Do(request)
	if errors.Is(err, errInsecure) {
		return "", notRunwire(web, err.Error())
	}
	if err != nil {
		return "", &Error{Code: CodeUnavailable, cause: err, Message: fmt.Sprintf("nothing answers at %s (%v). "+
			"Is the server running there, and is this its web port (5000 unless told otherwise)?", web, err)}
	}
	defer response.Body.Close()
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "", &Error{Code: CodeUnavailable, Message: web + " answers " + response.Status}
	default:
		return "", notRunwire(web, response.Status)
	}
	return readAnswer(web, response.Body)
}

var errInsecure = errors.New("it sends on to an address without TLS")

// checkRedirect: who asks over TLS takes no answer from whoever is on the way.
func checkRedirect(next *http.Request, before []*http.Request) error {
	if next.URL.Scheme != "https" && before[len(before)-1].URL.Scheme == "https" {
		return errInsecure
	}
	if len(before) >= mostRedirects {
		return fmt.Errorf("%d redirects", len(before))
	}
	return nil
}

func readAnswer(web string, body io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(body, mostAnswerBytes))
	if err != nil {
		return "", cutAnswer(web, err)
	}
	var answer struct {
		Endpoint *string `json:"grpc_endpoint"`
	}
	err = json.NewDecoder(bytes.NewReader(data)).Decode(&answer)
	if errors.Is(err, io.ErrUnexpectedEOF) && len(data) < mostAnswerBytes {
		return "", cutAnswer(web, err) // a body without a length ends as it may
	}
	if err != nil {
		return "", notRunwire(web, "no JSON")
	}
	if answer.Endpoint == nil {
		return "", notRunwire(web, "other JSON")
	}
	return *answer.Endpoint, nil
}

// cutAnswer says nothing of who answers: the next answer may be whole.
func cutAnswer(web string, err error) error {
	return &Error{Code: CodeUnavailable, cause: err, Message: fmt.Sprintf("the answer of %s was cut (%v)", web, err)}
}

func notRunwire(web, answer string) error {
	return invalid("tracking_uri", "%s is a web server, but not Runwire's (GET %s: %s). Is there a proxy in "+
		"front? grpc://HOST:5001 goes to the gRPC port directly", web, discoveryPath, answer)
}
