// Package fleet tests what many hosts are watched with: the alerts for Prometheus and the dashboard for Grafana.
package fleet
