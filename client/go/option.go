package runwire

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"strconv"
	"time"
)

// Options of a [Client]; the zero value takes all from the environment, and so does nil.
type Options struct {
	// Token is sent with every call as "authorization: Bearer TOKEN". Empty: RUNWIRE_TOKEN.
	Token string
	// CAFile has the certificate authorities for grpcs:// and https://, in PEM. Empty:
	// RUNWIRE_CA_FILE, else those of the system.
	CAFile string
	// TLS is used for grpcs:// and https:// instead of CAFile.
	TLS *tls.Config
	// Timeout of a call whose context has no deadline, all attempts together. 0:
	// RUNWIRE_TIMEOUT_S, else 30 s.
	Timeout time.Duration
	// Workspace of experiments and models. Empty: RUNWIRE_WORKSPACE, else "default".
	Workspace string
	// User is noted in the registry as who did it. Empty: RUNWIRE_USER, else the login name.
	User string
	// Logger is told what needs no answer: that a writer has lost the service, and found it
	// again. Nil: slog.Default().
	Logger *slog.Logger
}

// settled has every field set, from the environment where it was not.
func (given *Options) settled() (Options, error) {
	var o Options
	if given != nil {
		o = *given
	}
	o.Token = cmp.Or(o.Token, os.Getenv("RUNWIRE_TOKEN"))
	o.CAFile = cmp.Or(o.CAFile, os.Getenv("RUNWIRE_CA_FILE"))
	o.Workspace = cmp.Or(o.Workspace, os.Getenv("RUNWIRE_WORKSPACE"))
	o.User = cmp.Or(o.User, loginName())
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	var err error
	if o.Timeout == 0 {
		if o.Timeout, err = environmentTimeout(); err != nil {
			return o, err
		}
	}
	if o.TLS == nil {
		o.TLS, err = tlsOf(o.CAFile)
	}
	return o, err
}

func environmentTimeout() (time.Duration, error) {
	text := os.Getenv("RUNWIRE_TIMEOUT_S")
	if text == "" {
		return 30 * time.Second, nil
	}
	seconds, err := strconv.ParseFloat(text, 64)
	if err != nil || !(seconds > 0 && seconds < 1e6) {
		return 0, invalid("RUNWIRE_TIMEOUT_S", "%q is no number of seconds above 0", text)
	}
	return time.Duration(seconds * float64(time.Second)), nil
}

func tlsOf(caFile string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if caFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, invalid("RUNWIRE_CA_FILE", "%v", err)
	}
	config.RootCAs = x509.NewCertPool()
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, invalid("RUNWIRE_CA_FILE", "%s holds no certificate in PEM", caFile)
	}
	return config, nil
}

func loginName() string {
	for _, name := range []string{"RUNWIRE_USER", "LOGNAME", "USER", "LNAME", "USERNAME"} {
		if found := os.Getenv(name); found != "" {
			return found
		}
	}
	if found, err := user.Current(); err == nil {
		return found.Username
	}
	return ""
}

// pairs are the metadata that go with every call.
func (given Options) pairs() []string {
	made := []string{"runwire-client", "go/" + Version, "runwire-user", url.PathEscape(given.User)}
	if given.Token != "" {
		made = append(made, "authorization", "Bearer "+given.Token)
	}
	return made
}
