import fs from "node:fs"; import fc from "fast-check"
import { parse } from "yaml"
const s=JSON.parse(fs.readFileSync("/tmp/gwstack/state.json"))
const doc=parse(fs.readFileSync("/work/main/openapi-v1.yaml","utf8"))
const con=(await (await fetch(s.api+"/v1/connections?limit=1",{headers:{authorization:"Bearer "+s.api_key}})).json()).data[0].id
const ops=Object.entries(doc.paths).flatMap(([p,i])=>Object.entries(i).map(([m,o])=>({p,m:m.toUpperCase(),o})))
const nasty=fc.oneof(fc.constantFrom("",null,0,-1,1e308,true,[],{}, "\ud800","\u0000","a".repeat(5000),"％","é","shop.xn--a.test","*.a.test","2030-01-01T00:00:00Z",s.application_id,con,"connections:read","powerdns","https://a.b","http://127.0.0.1:1/","manual",["ssl.issued"],[{host:"a.b",type:"A",value:"x"}],{subdomain:[]},{apex:[{host:"{apex}",type:"A",value:"{edge}"}]}), fc.string({unit:"binary",maxLength:30}), fc.jsonValue({maxDepth:3}))
const schemaOf=(o)=>{const r=o.requestBody?.content["application/json"].schema; return r?.$ref?doc.components.schemas[r.$ref.split("/").pop()]:r}
const stat={}; const bad=[]
const one=async(op,body,q)=>{
  const path=op.p.replace(/\{id\}/,op.p.startsWith("/v1/app")?s.application_id:con).replace(/\{\w+\}/g,con)
  if(op.m==="DELETE"&&op.p==="/v1/applications/{id}") return
  let text; try { text=body===undefined?undefined:JSON.stringify(body) } catch { return }
  const r=await fetch(s.api+path+q,{method:op.m,headers:{authorization:"Bearer "+s.api_key,...(Math.random()<0.2?{"idempotency-key":"f"+Math.floor(Math.random()*50)}:{})},...(text!==undefined&&op.m!=="GET"?{body:text}:{})})
  const t=await r.text(); stat[op.m+" "+op.p]??={}; stat[op.m+" "+op.p][r.status]=(stat[op.m+" "+op.p][r.status]??0)+1
  if(r.status>=500&&!(r.status===502)) bad.push([op.m,op.p,q,text,t])
  if(!op.o.responses[r.status]) bad.push(["undocumented",r.status,op.m,op.p,text?.slice(0,200),t.slice(0,200)])
}
for(const op of ops){
  const sch=schemaOf(op.o); const keys=Object.keys(sch?.properties??{x:1})
  const arb=fc.oneof({weight:8,arbitrary:fc.record(Object.fromEntries(keys.map(k=>[k,nasty])),{requiredKeys:[]})},{weight:1,arbitrary:nasty})
  const qarb=fc.oneof(fc.constant(""),fc.dictionary(fc.constantFrom("limit","cursor","hostname","state","after","period","application_id","status","endpoint_id","batch_id"),fc.oneof(fc.string({unit:"binary",maxLength:10}),fc.constantFrom("1","20","abc",con))).map(d=>{try{return "?"+new URLSearchParams(d)}catch{return ""}}))
  for(const [b,q] of fc.sample(fc.tuple(arb,qarb),Number(process.argv[2]??40))) await one(op, op.m==="GET"||op.m==="DELETE"?undefined:b, op.m==="GET"?q:"").catch(e=>bad.push(["neterr",op.p,String(e)]))
}
console.log(stat); console.log(bad.slice(0,15), bad.length)
