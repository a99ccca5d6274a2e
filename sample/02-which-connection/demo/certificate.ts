/**
 * A certificate for 127.0.0.1 that signed itself, valid for a hundred years: made with openssl and kept as text, so that
 * the sample needs no openssl. The key is public and protects nothing.
 */
export const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBuDCCAV+gAwIBAgIUBGtFiTTgB9qlMb7AAg6TvZ7+A1gwCgYIKoZIzj0EAwIw
IzEhMB8GA1UEAwwYbmVzdGpzLXBvb2xlZC10Y3Agc2FtcGxlMCAXDTI2MTEyMjA0
NTkyMVoYDzIxMjYxMDI5MDQ1OTIxWjAjMSEwHwYDVQQDDBhuZXN0anMtcG9vbGVk
LXRjcCBzYW1wbGUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARCUy1rjeDjEikR
yBByDZ0seReUTJRvFny+VEIR9nZ4j+zy2Mia+ivU4OSNW0MSicZs2WvxmAR7mTfA
g1E9lSb1o28wbTAdBgNVHQ4EFgQUbhkN6HU9F3jn5VoAMY1V7LvO1v0wHwYDVR0j
BBgwFoAUbhkN6HU9F3jn5VoAMY1V7LvO1v0wDwYDVR0TAQH/BAUwAwEB/zAaBgNV
HREEEzARgglsb2NhbGhvc3SHBH8AAAEwCgYIKoZIzj0EAwIDRwAwRAIgFIQvJ2n0
KNumZhmfp9nJCEUPFgOPlM7vIS/h3BMSH0cCICOJxFblwTZA7wq27w/aRHKWo3PV
z7Jbw3hAt25PDDUx
-----END CERTIFICATE-----
`;

/** The key of {@link CERTIFICATE}. */
export const KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg6MCL8/7Oirl6lFty
dzMRkRDXr+izYQJu5KJzsqVXAqmhRANCAARCUy1rjeDjEikRyBByDZ0seReUTJRv
Fny+VEIR9nZ4j+zy2Mia+ivU4OSNW0MSicZs2WvxmAR7mTfAg1E9lSb1
-----END PRIVATE KEY-----
`;
