// Asks the service as Java's own HTTP client does by default, which offers HTTP/2 with each first request; prints a line for each answer.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

public class Client {
    static final HttpClient CLIENT = HttpClient.newHttpClient();
    static String base;
    static String key;

    static HttpRequest.Builder to(String path) {
        return HttpRequest.newBuilder(URI.create(base + path))
            .timeout(Duration.ofSeconds(30))
            .header("Content-Type", "application/json")
            .header("Authorization", "Bearer " + key);
    }

    static void ask(String name, HttpRequest request) throws Exception {
        HttpResponse<String> answer = CLIENT.send(request, HttpResponse.BodyHandlers.ofString());
        System.out.println(name + " " + answer.statusCode() + " " + answer.version() + " " + answer.body().length());
    }

    public static void main(String[] args) throws Exception {
        base = args[0];
        key = args[1];
        HttpRequest.BodyPublisher record = HttpRequest.BodyPublishers.ofString("{\"text\": \"un grand merci\"}");
        for (int i = 0; i < 3; i++) {
            ask("classify", to("/classify").POST(record).build());
        }
        ask("expect", to("/classify").expectContinue(true).POST(record).build());
        String records = "{\"text\": \"merci\"},".repeat(999) + "{\"text\": \"merci\"}";
        ask("batch", to("/classify/batch").POST(HttpRequest.BodyPublishers.ofString("{\"records\": [" + records + "]}")).build());
        ask("too_large", to("/classify").POST(HttpRequest.BodyPublishers.ofString("a".repeat(8_000_000))).build());
        ask("unauthorized", to("/classify").setHeader("Authorization", "Bearer nothing").POST(record).build());
        ask("head", to("/livez").method("HEAD", HttpRequest.BodyPublishers.noBody()).build());
        HttpClient plain = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
        System.out.println("plain " + plain.send(to("/classify").POST(record).build(), HttpResponse.BodyHandlers.ofString()).statusCode());
    }
}
