import type { IssuanceView } from "../../model/certificate-view.ts";
import { CertificateTimeline } from "../charts.tsx";
import { useApi } from "../data.ts";
import { formatDate, fromNow } from "../format.ts";
import { lifeOf } from "../life.ts";
import { Badge, Card, Empty, Facts, Page, Table, Text, Waiting } from "../parts.tsx";
import { link } from "../route.ts";
import type { Certificate } from "../types.ts";

export function CertificatesPage() {
  const { data, error } = useApi<readonly Certificate[]>(
    "certificates?sortBy=validUntil&per_page=500",
    60_000,
  );
  const { data: issuance = [] } = useApi<readonly IssuanceView[]>("issuance");
  const inTrouble = issuance.filter(({ reason }) => reason !== "");
  return (
    <Page title="Certificates" lead="What is shown to browsers, when it ends, and how renewing it goes.">
      {inTrouble.length > 0 && (
        <Card title="Needs a look" wide>
          <Table
            caption="Certificates that could not be had"
            items={inTrouble}
            keyOf={({ names }) => names.join()}
            columns={[
              { title: "Names", class: "strong", cell: ({ names }) => <Text of={names.join(", ")} /> },
              { title: "Why", class: "grow", cell: ({ reason }) => <Text of={reason} most={1000} /> },
              {
                title: "Next try",
                cell: ({ nextTryAtMs }) =>
                  nextTryAtMs === undefined ? "when something changes" : fromNow(nextTryAtMs),
              },
            ]}
          />
        </Card>
      )}
      {data === undefined ? (
        <Waiting error={error} />
      ) : data.length === 0 ? (
        <Empty title="No certificates yet">
          They come from files, or from a resolver that a router names. Until then Waybill shows one of its
          own making, which browsers do not trust.
        </Empty>
      ) : (
        <>
          <Card title="Timeline" wide more={<span class="faint">a month back to three months ahead</span>}>
            <CertificateTimeline of={data} />
          </Card>
          <Table
            caption="All certificates"
            items={data}
            keyOf={({ name }) => name}
            columns={[
              { title: "Status", cell: (one) => <Life of={one} /> },
              {
                title: "Name",
                class: "strong",
                cell: ({ name, commonName, sans }) => (
                  <a href={link("certificates", name)}>
                    <Text of={commonName || (sans[0] ?? name)} most={80} />
                  </a>
                ),
              },
              {
                title: "Also for",
                class: "grow",
                cell: ({ sans, commonName }) => {
                  const others = sans.filter((name) => name !== (commonName || sans[0]));
                  return others.length > 0 ? (
                    <Text of={others.join(", ")} />
                  ) : (
                    <span class="faint">nothing else</span>
                  );
                },
              },
              {
                title: "Issuer",
                class: "narrow",
                cell: ({ issuerOrg, issuerCN }) => <Text of={issuerOrg ?? issuerCN ?? ""} />,
              },
              {
                title: "Ends",
                class: "short",
                cell: ({ notAfter }) => `${formatDate(notAfter)}, ${fromNow(Date.parse(notAfter))}`,
              },
            ]}
          />
        </>
      )}
    </Page>
  );
}

function Life({ of }: { readonly of: Certificate }) {
  const { words, tone } = lifeOf(of);
  return <Badge status={words} tone={tone} />;
}

export function CertificatePage({ name }: { readonly name: string }) {
  const { data, error } = useApi<Certificate>(`certificates/${encodeURIComponent(name)}`, 60_000);
  if (data === undefined) {
    return (
      <Page title="Certificate">
        <Waiting error={error} />
      </Page>
    );
  }
  return (
    <Page
      title={data.commonName || (data.sans[0] ?? "Certificate")}
      lead="Certificate"
      aside={<Life of={data} />}
    >
      <Card wide>
        <CertificateTimeline of={[data]} />
        <Facts
          of={[
            ["For", <Text key="for" of={data.sans.join(", ")} />],
            ["Issued by", <Text key="by" of={[data.issuerOrg, data.issuerCN].filter(Boolean).join(", ")} />],
            ["From", formatDate(data.notBefore)],
            ["Until", formatDate(data.notAfter)],
            ["Key", `${data.keyType} ${data.keySize ?? ""}`],
            ["Signature", data.signatureAlgorithm],
            ["Serial number", <code key="serial">{data.serialNumber}</code>],
            ["SHA-256", <code key="sha">{data.name}</code>],
          ]}
        />
      </Card>
    </Page>
  );
}
