# Connect Domain's control plane on Nomad: one group per service, replicated at will. Secrets come from Nomad variables at
# `nomad/jobs/connect-domain/<service>`, so that a service can read its own alone. NATS and Postgres run beside it or elsewhere:
# their addresses are variables. Run `nomad job run -var image=… deploy/nomad/control.nomad.hcl`.

variable "image" {
  type    = string
  default = "connect-domain:latest"
}

variable "nats_url" {
  type = string
}

variable "edge_hostname" {
  type        = string
  description = "The name that customers' CNAMEs point at."
}

variable "edge_addresses" {
  type        = string
  description = "Addresses for customers' apex records, comma-separated."
}

variable "acme_contact" {
  type        = string
  description = "mailto address of the CA account."
}

variable "acme_dns_zone" {
  type        = string
  default     = ""
  description = "A zone of ours that customers' _acme-challenge may lead into; empty: none. Its credential is CD_ACME_DNS_CREDENTIAL in the connector's variables."
}

variable "acme_dns_provider" {
  type        = string
  default     = ""
  description = "Who serves that zone: a provider's id."
}

job "connect-domain" {
  datacenters = ["*"]
  type        = "service"

  update {
    max_parallel     = 1
    min_healthy_time = "5s"
    healthy_deadline = "2m"
    auto_revert      = true
  }

  group "gateway" {
    count = 2

    network {
      port "api" {
        to = 8080
      }
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-gateway"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "gateway" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/gateway/src/main.ts"]
        ports        = ["api", "health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/gateway" }}
          DATABASE_URL={{ .DATABASE_URL }}
          CD_GATEWAY_NATS_SEED={{ .CD_GATEWAY_NATS_SEED }}
          CREDENTIAL_ENC_KEY={{ .CREDENTIAL_ENC_KEY }}
          CD_TOKEN_KEY={{ .CD_TOKEN_KEY }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_API_LISTEN      = "0.0.0.0:8080"
        CD_INTERNAL_LISTEN = "0.0.0.0:8081"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "lifecycle" {
    count = 2

    network {
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-lifecycle"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "lifecycle" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/lifecycle/src/main.ts"]
        ports        = ["health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/lifecycle" }}
          DATABASE_URL={{ .DATABASE_URL }}
          CD_LIFECYCLE_NATS_SEED={{ .CD_LIFECYCLE_NATS_SEED }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_LIFECYCLE_HEALTH_LISTEN = "0.0.0.0:8081"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "connector" {
    count = 2

    network {
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-connector"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "connector" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/connector/src/main.ts"]
        ports        = ["health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/connector" }}
          CD_CONNECTOR_NATS_SEED={{ .CD_CONNECTOR_NATS_SEED }}
          CREDENTIAL_ENC_KEY={{ .CREDENTIAL_ENC_KEY }}
          {{ with .CD_ACME_DNS_CREDENTIAL }}
          CD_ACME_DNS_CREDENTIAL={{ . }}
          {{ end }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_CONNECTOR_HEALTH_LISTEN = "0.0.0.0:8081"
        CD_ACME_DNS_PROVIDER       = var.acme_dns_provider
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "certifier" {
    count = 2

    network {
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-certifier"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "certifier" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/certifier/src/main.ts"]
        ports        = ["health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/certifier" }}
          DATABASE_URL={{ .DATABASE_URL }}
          CD_CERTIFIER_NATS_SEED={{ .CD_CERTIFIER_NATS_SEED }}
          EDGE_KEK={{ .EDGE_KEK }}
          CD_ACME_KEK={{ .CD_ACME_KEK }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_CERTIFIER_HEALTH_LISTEN = "0.0.0.0:8081"
        CD_ACME_CONTACT = var.acme_contact
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "billing" {
    count = 2

    network {
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-billing"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "billing" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/billing/src/main.ts"]
        ports        = ["health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/billing" }}
          DATABASE_URL={{ .DATABASE_URL }}
          CD_BILLING_NATS_SEED={{ .CD_BILLING_NATS_SEED }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_BILLING_HEALTH_LISTEN = "0.0.0.0:8081"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }

  group "webhooks" {
    count = 2

    network {
      port "health" {
        to = 8081
      }
    }

    service {
      name     = "connect-domain-webhooks"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "webhooks" {
      driver = "docker"

      config {
        image        = var.image
        args         = ["services/webhooks/src/main.ts"]
        ports        = ["health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain/webhooks" }}
          DATABASE_URL={{ .DATABASE_URL }}
          CD_WEBHOOKS_NATS_SEED={{ .CD_WEBHOOKS_NATS_SEED }}
          WEBHOOK_KEK={{ .WEBHOOK_KEK }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE           = "production"
        NATS_URL          = var.nats_url
        CD_EDGE_HOSTNAME  = var.edge_hostname
        CD_EDGE_ADDRESSES = var.edge_addresses
        CD_ACME_DNS_ZONE  = var.acme_dns_zone
        CD_WEBHOOKS_HEALTH_LISTEN = "0.0.0.0:8081"
      }

      resources {
        cpu    = 500
        memory = 512
      }
    }
  }
}
