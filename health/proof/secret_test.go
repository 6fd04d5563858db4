package proof_test

import (
	"bytes"
	"testing"

	"replypath/health/proof"
)

func TestDatagramsCarryTheSecretWhereTheCaptureReadsIt(t *testing.T) {
	secret := proof.Secret{0x81, 2, 3, 4, 5, 6, 7, 8}
	for _, port := range []uint16{53, 123, 5000} {
		payload, at := secret.Datagram(port), int(proof.SecretOffset(port))
		if len(payload) < at+len(secret) || !bytes.Equal(payload[at:at+len(secret)], secret[:]) {
			t.Errorf("port %d: %x at %d", port, payload, at)
		}
	}
	if n := len(secret.Datagram(123)); n != 48 {
		t.Errorf("a request of NTP has %d bytes, want 48", n)
	}
}
