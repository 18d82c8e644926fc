# The edge on Nomad: one router per node of class "edge", on the node's own ports 80 and 443. It keeps its snapshot on the node, so that it
# serves again after a restart while NATS, Postgres and the CA are gone.

variable "image" {
  type    = string
  default = "connect-domain:latest"
}

variable "nats_url" {
  type = string
}

variable "edge_hostname" {
  type = string
}

variable "edge_addresses" {
  type = string
}

job "connect-domain-edge" {
  datacenters = ["*"]
  type        = "system"

  constraint {
    attribute = "${node.class}"
    value     = "edge"
  }

  update {
    max_parallel     = 1
    min_healthy_time = "10s"
    healthy_deadline = "2m"
    auto_revert      = true
  }

  group "router" {
    network {
      port "http" {
        static = 80
        to     = 8000
      }
      port "https" {
        static = 443
        to     = 8443
      }
      port "health" {
        to = 8081
      }
    }

    ephemeral_disk {
      sticky = true
      size   = 4096
    }

    service {
      name     = "connect-domain-router"
      port     = "health"
      provider = "nomad"

      check {
        type     = "http"
        path     = "/readyz"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "router" {
      driver       = "docker"
      kill_timeout = "60s"

      config {
        image        = var.image
        args         = ["services/router/src/main.ts"]
        ports        = ["http", "https", "health"]
        cap_drop     = ["all"]
        security_opt = ["no-new-privileges"]
      }

      template {
        destination = "secrets/service.env"
        env         = true
        data        = <<-EOT
          {{ with nomadVar "nomad/jobs/connect-domain-edge/router" }}
          CD_ROUTER_NATS_SEED={{ .CD_ROUTER_NATS_SEED }}
          EDGE_KEK={{ .EDGE_KEK }}
          {{ end }}
        EOT
      }

      env {
        CD_MODE                 = "production"
        # As in compose.yaml, where the reasons stand.
        NODE_OPTIONS            = "--max-semi-space-size=32"
        LD_PRELOAD              = "libtcmalloc_minimal.so.4"
        NATS_URL                = var.nats_url
        CD_EDGE_HOSTNAME        = var.edge_hostname
        CD_EDGE_ADDRESSES       = var.edge_addresses
        CD_EDGE_ID              = "${node.unique.name}"
        CD_EDGE_HTTP_LISTEN     = "0.0.0.0:8000"
        CD_EDGE_HTTPS_LISTEN    = "0.0.0.0:8443"
        CD_EDGE_SNAPSHOT_DIR    = "${NOMAD_ALLOC_DIR}/data/snapshot"
        CD_ROUTER_HEALTH_LISTEN = "0.0.0.0:8081"
      }

      resources {
        cpu    = 2000
        memory = 2048
      }
    }
  }
}
