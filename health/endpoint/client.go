package endpoint

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"replypath/health"
	"replypath/health/trustedfile"
)

const (
	fingerprintPath    = "/fingerprint"
	fingerprintTimeout = 3 * time.Second
	maxFingerprintSize = 1 << 20 // bytes
)

// fingerprintDocument is the document at /fingerprint.
type fingerprintDocument struct {
	Version int `json:"version"`
	health.Fingerprint
}

// FetchFingerprint reads the fingerprint of another node from its endpoint. It reads the token and the certificates anew each
// time, follows no redirect and uses no proxy: the token is for that node alone.
func FetchFingerprint(ctx context.Context, peer health.PeerSettings) (health.Fingerprint, error) {
	f, err := fetchFingerprint(ctx, peer)
	if err != nil {
		return f, fmt.Errorf("read the fingerprint of the peer %s: %w", peer.URL, err)
	}
	return f, nil
}

func fetchFingerprint(ctx context.Context, peer health.PeerSettings) (f health.Fingerprint, err error) {
	ctx, cancel := context.WithTimeout(ctx, fingerprintTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(peer.URL, "/")+fingerprintPath, nil)
	if err != nil {
		return f, err
	}
	if peer.TokenFile != "" {
		token, err := readToken(peer.TokenFile)
		if err != nil {
			return f, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if peer.CAFile != "" {
		pool, err := readCertificates(peer.CAFile)
		if err != nil {
			return f, err
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(r)
	if err != nil {
		var failed *url.Error // repeats the URL
		if errors.As(err, &failed) {
			err = failed.Err
		}
		return f, fmt.Errorf("%w: see that the address, the port and the scheme (http or https) are those of [endpoint] on the peer, and that its certificate is for that name", err)
	}
	defer response.Body.Close()
	return decodeFingerprint(response)
}

func decodeFingerprint(response *http.Response) (health.Fingerprint, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxFingerprintSize))
	if err != nil {
		return health.Fingerprint{}, err
	}
	switch response.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized:
		return health.Fingerprint{}, errors.New("the peer refuses the token: use the one in token_file of [endpoint] there")
	case http.StatusNotFound:
		return health.Fingerprint{}, errors.New("the peer has no fingerprint: its replypath is of an older version: upgrade it")
	default:
		line, _, _ := strings.Cut(string(body), "\n")
		return health.Fingerprint{}, fmt.Errorf("the peer answers %s: %.200q", response.Status, line)
	}
	var d fingerprintDocument
	if err := json.Unmarshal(body, &d); err != nil || d.Value == "" {
		return health.Fingerprint{}, errors.Join(errors.New("the answer is no fingerprint: is that the endpoint of replypath?"), err)
	}
	return d.Fingerprint, nil
}

// readCertificates reads certificates in PEM.
func readCertificates(path string) (*x509.CertPool, error) {
	text, err := readPEM(path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &trustedfile.Error{What: path + " has no certificate in PEM format", Remedy: "name the certificate of the peer, or of its authority"}
	}
	return pool, nil
}
